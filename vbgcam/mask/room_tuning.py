"""The figures by which the model of the room is learned, compared and forgotten.

d is the colour distance of `segment.difference`, in steps of 8-bit luma; a sample is one of every `sample_step_px`
pixels of the work frame. Where a comment names a clip and a figure, it is from `vbgcam eval --clip CLIP.mp4
CLIP_alpha.mkv --model MODEL [--mask-fps 5]`, run with the value and with the other one: "selfie", "deeplab" are `onnx:`
files, "true masks at 5 a second" is `truth:CLIP_alpha.mkv` with `--mask-fps 5`. Values without a figure were chosen on
the same clips (selfie and deeplab, with and without `--mask-fps 5`), and on the disturbed ones of
`tests/test_mask_disturbed.py` and `tests/test_mask_scenes.py`, which fail where a step does harm.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RoomTuning:
    """One value for all cameras; nothing here is a setting."""

    # Comparing: the ramp of d from the room to the person is so wide.
    ramp_d: float = 14
    # What both sides of the log odds are cut to, as probabilities, and the gain of their sum. Neither may overrule the
    # other altogether: a person in the wall's colour has no d, and a late mask may be anywhere.
    likelihood_range: tuple[float, float] = (0.01, 0.99)
    prior_range: tuple[float, float] = (0.05, 0.985)
    # Of a late mask, where nothing else speaks for the person: then no distance does.
    late_prior: float = 0.005
    log_odds_gain: float = 3.0

    # Learning: a candidate's colour is the same within this d; it is believed after so many seconds, or at once where
    # the network gives fewer than ten masks a second; and it is looked at once in so many seconds.
    same_d: int = 14
    believed_after_s: float = 0.1
    learn_every_s: float = 0.1
    # Nobody is where the network's mask, grown by so many pixels, is below `free_alpha` of 255; or where the finished
    # mask, grown alike, is and the network's, grown by one pixel, is below half. Grown by three, hair that the network
    # does not see becomes the room (red_shirt enlarged: dtSSD 1.04, with four .98, without a room model .98).
    person_margin_px: int = 4
    free_alpha: int = 25
    half_alpha: int = 127

    # Checking: at every so many pixels (3,600 samples at 640x360), and with so many of the known room at least.
    sample_step_px: int = 8
    fewest_samples: int = 150
    # The light changed where the median sample's luma did by more than this, in steps of 255, or chroma by half.
    light_change: float = 2.0
    # All is forgotten where more than this share of the free room does not fit...
    unfit_share: float = 0.3
    # ... or its texture, over cells of so many pixels, is off by this part of a cell, which explains this share of the
    # change, or is as little alike as this (a correlation). Below this squared slope per cell there is no texture.
    cell_px: int = 4
    shifted_cells: float = 0.10
    explained_share: float = 0.3
    alike: float = 0.5
    least_texture: float = 4.0
    # Somebody whom the network has not seen: where at least this share of the free room differs.
    somebody_share: float = 0.01

    # Doubting: in a square of so many samples, this part, of 255, must differ where the network saw nobody; then the
    # room is forgotten so many samples around, since an arm that the network missed is thinner.
    doubt_window: int = 5
    doubt_area: int = 200
    doubt_reach: int = 4

    # Jumps: what changed at once, between two frames at 30 a second, is nobody where it holds a square of so many
    # samples, by more than the noise and this d, and has so many samples further than so many (32 pixels) from the
    # person, since nobody comes as fast. All that hangs together with it is forgotten, and so many samples around,
    # which is as far as the person and a little more.
    jump_window: int = 5
    jump_d: int = 4
    jump_samples: int = 8
    jump_beyond: int = 4
    jump_reach: int = 6

    # Drifts: what changed bit by bit, by the means of so many samples whose middle is further than so many from the
    # person (40 pixels).
    drift_window: int = 5
    drift_beyond: int = 5
    # Not by more than this d in a thirtieth of a second, as whoever the network missed does (true masks at 5 a second
    # on room_static: boundary F .725, with 12 .708).
    drift_slow_d: float = 8
    # By more than the noise and this d since it was near the person last; at so many samples (deeplab on room_static:
    # MAD .0136, where one is enough .0138).
    drift_d: int = 3
    drift_samples: int = 3
    # Forgotten is so many samples around. Two fewer, and a lamp that takes 0.3 s leaks twice as much (red_shirt, .0012
    # to .0006); two more, and boundary F on room_static is .722. With no look for drifts that lamp leaks .0050, and
    # room_static has .732.
    drift_reach: int = 6

    # A room that was forgotten is believed again after so many seconds, and after twice as many, up to so many, each
    # time that it has to be forgotten again within `again` times as many. Believed at once, a pan of 2 pixels a frame
    # shimmers more than without a room model (red_shirt, dtSSD 3.87 to 3.72); after 0.6 s, a knock costs more
    # (room_static, true masks at 5 a second: boundary F .589, with this .637).
    wait_s: float = 0.3
    longest_wait_s: float = 2.0
    again: float = 4


TUNING: Final = RoomTuning()

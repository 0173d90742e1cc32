"""What is done to the mask and to the picture: presets, and one value that holds everything `render` and `live` follow.

Values alone: no threads, no pixels. The settings file has names of its own for the mask's steps (`MASK_SETTINGS`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Preset = Literal["auto", "none", "fast", "balanced", "fine"]

Switch = Literal["preset", "on", "off"]
"""One step's setting: as in the preset, or in its place."""

SyncMode = Literal["auto", "exact", "newest"]
"""Whether a frame waits for its own mask; see `live.sync`."""

Key = tuple[int, int]
"""Chroma (u, v), each 0 to 255, of a key colour whose light falls on the person."""


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """The steps from a network's prediction to a mask.

    `rest`: live, the network looks where something moved, and not at each frame. `roi`: the network sees the person's
    part of the frame. `room_model`: the room behind the person is learned, and each frame compared with it. `flow`: an
    old mask is carried to the frame by optical flow, with `fine_flow` more thoroughly. `temporal`: where nothing moves
    the mask stays. `refine`: specks go, and the outline follows the frame's colours. `foreground`: the person's own
    colours are estimated along the outline, without the room's. `hard`: the classic label mask of 0 and 255 in place of
    all steps but `roi`. `long_side`: of the working size, at which all steps but the last are done, in pixels."""

    rest: bool = False
    roi: bool = False
    room_model: bool = False
    flow: bool = False
    temporal: bool = False
    refine: bool = False
    foreground: bool = False
    fine_flow: bool = False
    hard: bool = False
    long_side: int = 640

    @property
    def any(self) -> bool:
        """Whether there is more to do than to bring the network's prediction to the frame's size."""
        return not self.hard and (self.room_model or self.flow or self.temporal or self.refine or self.foreground)


NONE: Final = MaskOptions()

_BALANCED: Final = MaskOptions(
    rest=True, roi=True, room_model=True, flow=True, temporal=True, refine=True, foreground=True
)

PRESETS: Final[Mapping[Preset, MaskOptions]] = {
    "auto": _BALANCED,
    "none": NONE,
    "fast": MaskOptions(roi=True, temporal=True),
    "balanced": _BALANCED,
    "fine": replace(_BALANCED, rest=False, fine_flow=True),
}

_SMALL: Final = replace(_BALANCED, long_side=320)

LESS: Final[Mapping[str, MaskOptions]] = {
    "at half the size": _SMALL,
    "without the room": replace(_SMALL, room_model=False, foreground=False),
    "by motion alone": MaskOptions(rest=True, roi=True, flow=True, long_side=320),
}
"""What takes the place of `auto`'s steps, one after the other, where a live picture would wait for them."""

MASK_SETTINGS: Final[Mapping[str, str]] = {
    "rest": "rest",
    "crop": "roi",
    "memory": "room_model",
    "motion": "flow",
    "time": "temporal",
    "edges": "refine",
    "colours": "foreground",
}
"""The settings in `mask.*` that switch one step each, and the step's field."""


WEAKEST_BLUR: Final = 0.7
"""The weakest `Blur` that a background may ask for: a weaker one leaves writing in the room readable. Measured with
black capitals on white of 1/18 of the frame's height, 40 pixels at 720 lines: words and codes that the reader did not
know. By eye, whole words are read up to 0.55 at 720 lines and up to 0.65 at 480, where the kernel's steps make it
weaker; none is at 0.7. Tesseract reads nothing from 0.3 on, and from 0.45 on not after an unsharp mask or
deconvolution either. Of the contrast of stripes as far apart as such letters 92 % are left at 0.05, 17 % at 0.4, 7 %
at 0.5 (all at 720 lines), 1.4 % at 0.65 (480), and at 0.7 no more than one grey level from 480 lines to 2160."""


@dataclass(frozen=True, slots=True)
class Blur:
    """The room itself, out of focus. `strength`: 0 to 1, from a background at least `WEAKEST_BLUR`; 1 is a Gaussian
    whose sigma is 4 % of the frame's height."""

    strength: float


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """Everything that decides how a picture is made of frame, prediction and background; live, offline and in `eval`.

    `blur` takes the background's place, which then is the cover only. `plain`: the room as it is, which only a person
    asks for by name. `less`: see `LESS`, with what it is in words; live alone. `mirror`: the camera's picture is
    flipped, not the background. `key`: its light is taken out of the person. `light_wrap`: 0 to 1, how much of the
    background's light falls on the person's outline. In seconds: `max_mask_age`, how much older than its frame a mask
    may be (what an old one shows is decided by evidence: perfect masks at two a second leak .018 in the worst frame of
    twelve clips of people), and `max_frame_age`, how old a frame may be when it is shown. `sync`: of frames and masks,
    live alone."""

    mask: MaskOptions = field(default=NONE)
    less: tuple[tuple[str, MaskOptions], ...] = ()
    blur: Blur | None = None
    plain: bool = False
    mirror: bool = False
    key: Key | None = None
    light_wrap: float = 0.0
    max_mask_age: float = 1.5
    max_frame_age: float = 1.0
    sync: SyncMode = "auto"

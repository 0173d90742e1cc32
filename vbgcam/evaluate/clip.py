"""A video with its true masks, as `run` would show it: which mask each frame gets, and how good it is there.

A network that takes its time is made up by a `Pace`: the mask of a frame is there so much later, and the newest frame
of that moment is taken next. So is a camera that gives fewer frames. Only time is made up; frames, masks and the
decision are those of `run`.
"""

import itertools
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Self

from vbgcam.core.errors import MediaError
from vbgcam.core.frames import U8, Mask, Prediction, RawFrame
from vbgcam.core.options import NONE, RenderOptions
from vbgcam.core.policy import Compose, Cover, Hysteresis, Situation, Why, decide
from vbgcam.mask import Looks, Masker, NetworkGuard
from vbgcam.media.video_reader import AlphaVideo, VideoReader
from vbgcam.segment import Segmenter

log = logging.getLogger(__name__)

# Seconds by which two frames' distance may be wrong: MKV and WebM round each time to a millisecond. At 30 frames a
# second a mask that takes 1/30 s would miss two frames of three.
_ROUNDED: Final = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of the clip, captured so many seconds after its first one. `mask`: what `run` would show it with; None
    for a frame that it would hide, and for one that is not needed. `hidden`: there is no prediction yet, it is too old
    or not believed, or shows too little of the person. `mask_age`: seconds, of the newest prediction that is there by
    then, hidden or not; None before the first one."""

    frame: RawFrame
    truth: U8
    mask: Mask | None
    hidden: bool
    mask_age: float | None


class Lag:
    """Which mask is there when, of a network that takes the next of `takes` in seconds for each; None: each frame has
    its own at once."""

    def __init__(self, takes: Iterator[Fraction] | None, make: Callable[[RawFrame], Prediction]) -> None:
        self._takes = takes
        self._make = make
        self._newest: Prediction | None = None
        self._coming: tuple[Fraction, Prediction] | None = None
        self._before: RawFrame | None = None

    def at(self, time: Fraction, frame: RawFrame) -> Prediction | None:
        """The newest mask at `time`, when `frame` comes; times grow. A mask that is ready with a frame is that
        frame's."""
        if self._takes is None:
            return self._make(frame)
        while self._coming is not None and self._coming[0] <= time + _ROUNDED:
            ready, self._newest = self._coming
            self._coming = None
            # Between two frames the network took the one before, if it had not had it yet.
            if ready < time - _ROUNDED and self._before is not None:
                self._take(ready, self._takes, self._before)
        if self._coming is None:
            self._take(time, self._takes, frame)
        self._before = frame
        return self._newest

    def _take(self, time: Fraction, takes: Iterator[Fraction], frame: RawFrame) -> None:
        if self._newest is None or frame.captured_at > self._newest.captured_at:
            self._coming = time + next(takes), self._make(frame)


class Clip:
    """A `video` and its true masks, `alpha`, of the same size. Raises MediaError."""

    def __init__(self, video: Path, alpha: Path) -> None:
        with ExitStack() as stack:
            self.video = stack.enter_context(VideoReader(video))
            self.alpha = stack.enter_context(AlphaVideo(alpha))
            if self.video.size != self.alpha.size:
                raise MediaError(f"{alpha}: its masks are {self.alpha.size}, the frames of {video} {self.video.size}")
            self._stack = stack.pop_all()
        self.frames = 0
        self.left_out: list[str] = []

    def pairs(self) -> Iterator[tuple[Fraction, RawFrame, U8]]:
        """Each frame with its true mask, from the first one on, and its time in seconds. What is missing at the end of
        either stands in `left_out` afterwards."""
        video, alpha = self.video, self.alpha
        video.rewind()
        alpha.rewind()
        self.frames, self.left_out = 0, []
        while (shot := video.read()) is not None:
            truth = alpha.read()
            if truth is None:
                self.left_out.append(f"{alpha.path} ends after {self.frames} masks, before {video.path} does")
                break
            time = shot.time - video.start
            yield time, RawFrame(shot.planes, float(time), 0, self.frames), truth.planes.y
            self.frames += 1
        else:
            if alpha.read() is not None:
                self.left_out.append(f"{video.path} ends after {self.frames} frames, before {alpha.path} does")
        for reader in (video, alpha):
            if reader.left_out:
                self.left_out.append(f"{reader.path} is damaged: {reader.left_out} frames of it are missing")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the made-up machine is. `mask_s`: seconds, the least and the most that the network takes for a mask,
    drawn uniformly for each; None: each frame has its own mask at once. `frame_fps`: frames a second that come; None:
    all that the clip has. `seed`: of the draws."""

    mask_s: tuple[Fraction, Fraction] | None = None
    frame_fps: Fraction | None = None
    seed: int = 0

    def takes(self) -> Iterator[Fraction] | None:
        """Seconds for each mask, in turn, the same at each call; None where `mask_s` is."""
        if self.mask_s is None:
            return None
        (low, high), drawn = self.mask_s, random.Random(self.seed)
        return (low + (high - low) * Fraction(drawn.random()) for _ in itertools.count())

    def seen(self, clip: Clip) -> Iterator[tuple[Fraction, RawFrame, U8]]:
        """Of the clip's `pairs` those that come: the first one at or after each 1/`frame_fps` s."""
        last = -1
        for time, frame, truth in clip.pairs():
            tick = frame.number if self.frame_fps is None else int((time + _ROUNDED) * self.frame_fps)
            if tick > last:
                yield time, frame, truth
                last = tick


AT_ONCE: Final = Pace()
"""Every frame comes, and has its own mask."""


def moments(
    clip: Clip,
    segmenter: Segmenter,
    options: RenderOptions,
    pace: Pace = AT_ONCE,
    *,
    needed: Callable[[int], bool] = lambda _number: True,
) -> Iterator[Moment]:
    """The clip from its start, the frames that come at that pace. A frame that is not `needed` costs no mask where no
    later one depends on it. Raises ModelError."""
    looks = Looks() if options.mask.rest and options.mask.any and pace.mask_s is None else None
    masker = Masker(segmenter, options.mask, NetworkGuard(live=True), looks)
    masker.reset()
    lag, hysteresis = Lag(pace.takes(), masker.predict), Hysteresis()
    alone = pace.mask_s is None and not segmenter.recurrent and (options.mask == NONE or options.mask.hard)
    for time, frame, truth in pace.seen(clip):
        if alone and not needed(frame.number):
            yield Moment(frame, truth, None, hidden=False, mask_age=None)
            continue
        prediction, now = lag.at(time, frame), frame.captured_at
        age = None if prediction is None else now - prediction.captured_at
        shown = decide(Situation(frame, prediction), now, options.max_mask_age, options.max_frame_age)
        mask = masker.track(frame, shown.mask) if isinstance(shown, Compose) else None
        why = shown.why if isinstance(shown, Cover) else None if mask is not None else Why.NEW_SCENE
        hidden = hysteresis.settle(now, why, masker.kept) is not None
        yield Moment(frame, truth, None if hidden else mask, hidden, age)

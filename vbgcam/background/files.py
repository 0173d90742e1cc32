"""Backgrounds from files: a picture, an animated GIF, PNG or WebP, a film.

Films are read by `VideoReader`, animations by `images`: Pillow keeps their transparency, reads animated WebP, which
FFmpeg cannot, and decodes GIFs in half the time (960x540: 8.6 ms a frame against 17.9).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

from vbgcam.background import filenames
from vbgcam.background.still import Still, fitted
from vbgcam.core.errors import BackgroundError, MediaError
from vbgcam.core.frames import Backdrop, Size
from vbgcam.media import images
from vbgcam.media.images import Animation
from vbgcam.media.video_reader import TimedFrame, VideoReader
from vbgcam.pixels.convert import Fit, fit

log = logging.getLogger(__name__)

_SAME: Final = 1e-6  # seconds: the caller's times are floats, the film's exact fractions

# A film may take half of the time that passes for its decoding, and after a long pause this many seconds at once.
_SHARE: Final = 0.5
_AT_ONCE: Final = 0.25


class _Reel(Protocol):
    """`read` gives the shots in order, None at the end; after `rewind` the first again. MediaError."""

    def read(self) -> TimedFrame | None: ...

    def rewind(self) -> None: ...

    def close(self) -> None: ...


def open_file(path: Path, size: Size, how: Fit = "cover", *, exact: bool = False) -> Still | MovingBackground:
    """What the file shows, at `size`; transparent parts lie on black. A film or animation of a single picture is a
    Still. `exact`: see MovingBackground. Raises BackgroundError."""
    try:
        kind = images.kind(path)
        if kind == "still":
            return Still(fitted(images.on_black(images.read(path, min_size=size)), size, how))
        reel = _AnimationReel(path, size, how) if kind == "animation" else _film(path)
        with ExitStack() as closing:
            closing.callback(reel.close)
            film = MovingBackground(reel, size, how, exact=exact)
            if film.moves:
                closing.pop_all()
                return film
            return Still(film.at(0).planes)
    except MediaError as exc:
        raise BackgroundError(exc.message, fix=exc.fix) from exc


class MovingBackground:
    """A Background that plays a reel again and again at its own rate. Holds the shot on show and the one after it.

    It is read forwards only. Where that takes more than half of the time that passes between the calls, the film goes
    on slower than it should, rather than that the caller waits, unless it is to be `exact`. After a pause whole rounds
    are left out.
    """

    def __init__(
        self,
        reel: _Reel,
        size: Size,
        how: Fit = "cover",
        *,
        exact: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reel`: at its beginning; closed by this film's `close`. `clock`: seconds; measures what reading takes.
        Raises MediaError where there is no shot."""
        self._reel = reel
        self._size = size
        self._fit = how
        self._exact = exact
        self._clock = clock
        self._began = Fraction(0)  # the caller's time at which the round of `_next` began
        self._length: Fraction | None = None  # of a round; known after the first
        self._asked = 0.0
        self._shown = _some(reel.read())
        self._start = self._shown.time
        self._backdrop = self._converted()
        following = reel.read()
        self.moves = following is not None
        self._next = following or self._shown

    def at(self, seconds: float) -> Backdrop:
        shown = self._shown
        try:
            if self.moves:
                self._go_on(seconds)
        except MediaError as exc:
            raise BackgroundError(exc.message, fix=exc.fix) from exc
        if self._shown is not shown:
            self._backdrop = self._converted()
        return self._backdrop

    def close(self) -> None:
        self._reel.close()

    def _go_on(self, seconds: float) -> None:
        """To the shot that is due."""
        limit = self._clock() + min(_AT_ONCE, _SHARE * (seconds - self._asked))
        self._asked = seconds
        if self._length is not None and (rounds := int((seconds - self._due()) / self._length)) > 0:
            self._began += rounds * self._length
        while self._due() <= seconds + _SAME:
            self._step()
            late = seconds - self._due()
            if late >= 0 and not self._exact and self._clock() > limit:
                self._began += Fraction(late) + self._shown.duration
                return

    def _due(self) -> float:
        """When the next shot is to be shown, on the caller's clock."""
        return float(self._began + self._next.time - self._start)

    def _step(self) -> None:
        self._shown = self._next
        following = self._reel.read()
        if following is None:
            self._length = self._shown.time + self._shown.duration - self._start
            self._began += self._length
            self._reel.rewind()
            following = _some(self._reel.read())
        self._next = following

    def _converted(self) -> Backdrop:
        return Backdrop(fit(self._shown.planes, self._size, self._fit).frozen())


def _some(shot: TimedFrame | None) -> TimedFrame:
    if shot is None:
        raise MediaError("the background's file has no picture any more")
    return shot


class _AnimationReel:
    """An animation's pictures at the background's size, on black."""

    def __init__(self, path: Path, size: Size, how: Fit) -> None:
        self._animation = Animation(path)
        self._size, self._fit = size, how
        self._time = Fraction(0)

    def read(self) -> TimedFrame | None:
        step = self._animation.read()
        if step is None:
            return None
        picture, duration = step
        shot = TimedFrame(fitted(images.on_black(picture), self._size, self._fit), self._time, duration)
        self._time += duration
        return shot

    def rewind(self) -> None:
        self._animation.rewind()
        self._time = Fraction(0)

    def close(self) -> None:
        self._animation.close()


class _Film(VideoReader):
    """A film whose damage is said once in the log."""

    _told = False

    def read(self) -> TimedFrame | None:
        """The next frame; None at the end."""
        frame = super().read()
        if frame is None and self.left_out and not self._told:
            self._told = True
            log.warning("%s: %d damaged frames are left out", self.path, self.left_out)
        return frame


def _film(path: Path) -> VideoReader:
    try:
        return _Film(path)
    except MediaError:
        if filenames.KINDS.get(path.suffix.lower()) == "picture":
            images.read(path)  # raises, in the words for what it is meant to be
        raise

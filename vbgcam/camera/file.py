"""A video in place of a camera: at its own pace, as a camera would give it, or as fast as it is read.

At its own pace each frame has an absolute deadline on the monotonic clock, so that delays never add up. `Pace` decides,
without a clock or a thread: what is early waits, what is late goes out at once, what is more than a frame late is left
out. A video is never played faster to catch up.
"""

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

from vbgcam.camera.base import Captured, Negotiated
from vbgcam.core.errors import CameraError, MediaError
from vbgcam.media.video_reader import TimedFrame, VideoReader

_TOO_LATE: Final = 1.0
# A camera gives frames also where nothing moves: a picture that stands for longer is given again, or the live chain
# would take the source for dead.
_STANDS: Final = 0.25


class Pace:
    """When frames are due. `lost`: frames that had to be left out, and those that a camera would have given while
    nobody could read it."""

    def __init__(self) -> None:
        self.lost = 0
        self._zero: float | None = None
        self._lateness: float | None = None  # of the frame before, where that was left out

    def decide(self, due: float, lasts: float, now: float) -> float | None:
        """In how many seconds the frame goes out; None where it is left out. `due`: its time on the video's clock,
        growing over all loops. `lasts`: until the next one, above 0. `now`: on the monotonic clock; all in seconds.

        Leaving out serves a reader that was late. It does not help where reading the video takes longer than playing it
        (the next frame is then later still), nor where the process had been stopped for long: then the video goes on
        from here, the clock is set anew, and what was missed counts as lost."""
        if self._zero is None:
            self._zero = now - due
        late = now - (self._zero + due)
        if late <= lasts:
            self._lateness = None
            return max(0.0, -late)
        hopeless = self._lateness is not None and late >= self._lateness
        if hopeless or late > _TOO_LATE:
            self.lost += int(late / lasts)
            self._zero = now - due
            self._lateness = None
            return 0.0
        self.lost += 1
        self._lateness = late
        return None

    def wait(self, due: float, now: float) -> float:
        """Seconds until that time on the video's clock, 0 where it has passed."""
        return 0.0 if self._zero is None else max(0.0, self._zero + due - now)


class FileSource:
    """Implements `camera.Source`. `loop`: begins again at the end, without a gap. `paced`: at its own pace.

    `_lock` guards the video: `close` may come from another thread, and FFmpeg must not lose its file in the middle of
    reading. It is held while one frame is decoded, never while one is waited for."""

    def __init__(
        self, path: str | Path, *, loop: bool = False, paced: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clocked = paced
        self._path = Path(path).expanduser()
        self._loop = loop
        self._clock = clock
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._video: VideoReader | None = None
        self._pace = Pace()
        self._offset = Fraction(0)
        self._end = Fraction(0)
        self._shown: TimedFrame | None = None
        self._waiting: TimedFrame | None = None

    def expected(self) -> Negotiated:
        """What the video's first frame says. Raises CameraError."""
        video = self._opened()
        video.close()
        return self._negotiated(video)

    def open(self) -> Negotiated:
        """Raises CameraError."""
        self.close()
        video = self._opened()
        with self._lock:
            self._closed.clear()
            self._video = video
            self._pace = Pace()
            self._offset = -video.start
            self._end = video.start
            self._waiting = self._shown = None
        return self._negotiated(video)

    def read(self) -> Captured | None:
        """None at the video's end, or when it was closed. Raises CameraError."""
        while True:
            shot, self._waiting = self._waiting or self._next(), None
            if not self.clocked:
                return None if shot is None else self._captured(shot)
            if shot is None:  # the last picture stands for its time, too
                self._closed.wait(self._pace.wait(float(self._end + self._offset), self._clock()))
                return None
            wait = self._pace.decide(float(shot.time + self._offset), float(shot.duration), self._clock())
            if wait is None:
                continue
            stands = wait > _STANDS and self._shown is not None
            if wait > 0 and self._closed.wait(_STANDS if stands else wait):
                return None
            if stands:
                self._waiting = shot
                shot = self._shown or shot
            return self._captured(shot)

    def dropped(self) -> int:
        return self._pace.lost

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._video is not None:
                self._video.close()
                self._video = None

    def _captured(self, shot: TimedFrame) -> Captured:
        self._shown = shot
        return Captured(shot.planes, self._clock())

    def _opened(self) -> VideoReader:
        try:
            return VideoReader(self._path)
        except MediaError as exc:
            raise CameraError(exc.message, fix=exc.fix) from exc

    def _negotiated(self, video: VideoReader) -> Negotiated:
        return Negotiated(self._path.name, video.size, float(video.rate))

    def _next(self) -> TimedFrame | None:
        """The next frame; a loop goes on where the last frame ends."""
        with self._lock:
            video = self._video
            if video is None or self._closed.is_set():
                return None
            shot = video.read()
            if shot is None and self._loop:
                self._offset += self._end - video.start
                try:
                    video.rewind()
                except MediaError as exc:
                    raise CameraError(exc.message, fix=exc.fix) from exc
                shot = video.read()
            if shot is not None:
                self._end = shot.time + shot.duration
            return shot

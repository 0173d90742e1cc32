"""A video being written, MP4 or MKV: there whole or not at all. What goes into it is its caller's business."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.packet import Packet
from av.stream import Stream

from vbgcam.core.errors import OutputError
from vbgcam.media.atomic import make_folder, whole


class VideoWriter:
    """A video being written, MP4 or MKV by its suffix, beside its target under another name. Either `finish` and `keep`
    are called, or `discard`; after an OutputError it is discarded already. `container`: streams are added to it before
    the first packet. `gone`: whether it was discarded. One thread at a time."""

    def __init__(self, target: Path, clock: Fraction) -> None:
        """`clock`: the pictures' time base, which MP4 keeps as it is (MKV counts milliseconds). Raises OutputError."""
        self.target: Final = target
        self.gone = False
        self._file = ExitStack()
        try:
            if target.is_dir():
                raise OutputError(f"{target} is a folder")
            self._part = self._file.enter_context(whole(target))
        except FileNotFoundError as exc:
            problem = f"{target}: the folder {target.parent} does not exist"
            raise OutputError(problem, fix=make_folder(target.parent)) from exc
        except OSError as exc:
            raise OutputError(f"{target} cannot be written: {exc.strerror}") from exc
        # The index goes to the front, so that the video plays while it is still being fetched.
        mp4 = {"movflags": "+faststart", "video_track_timescale": str(clock.denominator)}
        # Matroska would move all times so that AAC's priming, 21 ms before time 0, starts at 0.
        mkv = {"avoid_negative_ts": "disabled"}
        matroska = target.suffix.lower() == ".mkv"
        self.container: Final = av.open(
            f"file:{self._part}",
            "w",
            format="matroska" if matroska else "mp4",
            container_options=mkv if matroska else mp4,
        )

    def write(self, packets: Iterable[Packet[Stream]]) -> None:
        """Raises OutputError, and nothing is left behind."""
        with self._or_discarded():
            for packet in packets:
                self.container.mux(packet)

    def finish(self) -> None:
        """All is written; the video is not in its place yet. Raises OutputError, and nothing is left behind."""
        with self._or_discarded():
            self.container.close()

    def keep(self) -> None:
        """Puts the finished video in its place. Raises OutputError, and nothing is left behind."""
        try:
            self._file.close()
        except OSError as exc:
            self.gone = True
            raise OutputError(f"{self.target} cannot be written: {exc.strerror}") from exc

    def discard(self) -> None:
        """Leaves nothing behind; what had the target's name before keeps it. Does nothing after `keep`."""
        self.gone = True
        # FFmpeg writes an index even now. Without the name it cannot move the whole video to put the index first.
        with suppress(OSError):
            self._part.unlink()
        with suppress(av.FFmpegError):
            self.container.close()
        with suppress(_Discarded):
            self._file.__exit__(_Discarded, _Discarded(), None)

    @contextmanager
    def _or_discarded(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as exc:
            self.discard()
            if exc.errno == errno.ENOSPC:
                problem, fix = f"{self.target}: the disk is full", "make room, or write to another disk"
                raise OutputError(problem, fix=fix) from exc
            raise OutputError(f"{self.target} cannot be written: {exc.strerror}") from exc


class _Discarded(Exception):  # noqa: N818  # it is no error
    """Tells `whole` that the video is not wanted."""

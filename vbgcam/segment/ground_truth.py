"""Masks that are known already, from a film of them: what a perfect network would give, or what another program gave.

It tells the chain's own errors (masks that come late, above all) from the network's. For `eval` and `bench` alone: a
film's masks do not belong to what a camera sees.
"""

from pathlib import Path
from typing import Final

import numpy as np

from vbgcam.core.errors import MediaError, ModelError
from vbgcam.core.frames import U8, RawFrame
from vbgcam.media.video_reader import AlphaVideo
from vbgcam.segment.base import FixedInput, Probability

_HALF: Final = 128


class GroundTruth(FixedInput):
    """The mask of frame `number` is that frame of the film."""

    def __init__(self, path: Path, *, hard: bool = False) -> None:
        """Raises ModelError."""
        try:
            self._film = AlphaVideo(path)
        except MediaError as exc:
            raise ModelError(f"truth: {exc.message}", fix=exc.fix) from exc
        self.name = f"truth:{path}"
        self._hard = hard
        self._number = -1
        self._alpha: U8 | None = None

    def probability(self, frame: RawFrame) -> Probability:
        """At the film's own size. Raises ModelError where the film has no such frame."""
        if frame.number < self._number:
            self._film.rewind()
            self._number = -1
        while self._number < frame.number:
            shot = self._film.read()
            if shot is None:
                raise ModelError(
                    f"{self._film.path} has {self._number + 1} masks, there is none for frame {frame.number}",
                    fix="give the masks of the whole clip",
                )
            self._number, self._alpha = self._number + 1, shot.planes.y
        assert self._alpha is not None
        if self._hard:
            return np.asarray(self._alpha >= _HALF, np.float32)
        return np.asarray(self._alpha, np.float32) / np.float32(255)

    def close(self) -> None:
        """Closes the film."""
        self._film.close()

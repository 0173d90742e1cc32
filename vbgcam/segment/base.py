"""What every source of person probabilities has in common.

A segmenter is used by one thread. It never changes a frame and knows nothing of outputs. Building one may take seconds
(torch is imported, weights are fetched); `open_segmenter` is therefore called by the inference worker, never by the
command line's main path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame, Size

Probability = NDArray[np.float32]

LADDER: Final = (96, 128, 160, 192, 224, 256, 288, 352, 416, 520)
"""Short sides that a live picture may choose from: each step is a third to a half more work than the one before. The
last is that of torchvision's presets, which all six were measured with."""

LIVE_START: Final = {"cpu": 128, "gpu": 256}
"""Where a live picture begins: small enough for its first masks to be young on a modest machine."""

Progress = Callable[[int, int, str], None]
"""Called with (bytes so far, bytes in all, the host that is asked); raises whatever should break a download off."""


@dataclass(frozen=True, slots=True)
class Options:
    """`device`: see `engines.devices`. `size`: the network's input, its short side in pixels (torchvision's
    preset resizes the short side to 520); None leaves it open. Networks of a fixed input ignore it.
    `hard`: the classic method's label mask (0 or 1) in place of the probability. `mirror`: base URL that replaces
    every network's download server; "" is theirs. `sha256`: of the file, where it is not the published one.
    `folder`: where `models add` and `plate` keep what they were given. `threads`: of the CPU, 0 chooses. `live`: a live
    picture waits for no mask, but its masks should be young: where `size` is None, an input of any size then begins
    small (and whoever runs the network makes it larger); else it is the preset's."""

    device: str = "auto"
    size: int | None = None
    hard: bool = False
    mirror: str = ""
    sha256: str = ""
    folder: Path = Path()
    threads: int = 0
    live: bool = False


class Segmenter(Protocol):
    """A source of person probabilities, used by one thread but for `prepare`. Its properties may change: a network that
    finds no memory goes on with a smaller input, or on the CPU."""

    @property
    def name(self) -> str:
        """As in the model spec, with what "auto" chose."""

    why: str = ""
    """Why it is this network, where "auto" chose it."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0", ..."""

    @property
    def precision(self) -> str:
        """Of the network's numbers, "fp32", "bf16", "fp16"; "" where there is no network."""

    @property
    def input(self) -> Size | None:
        """What the last call gave to the network; None before the first, and where there is no network."""

    @property
    def recurrent(self) -> bool:
        """Whether an answer depends on the frames before it."""

    @property
    def croppable(self) -> bool:
        """Whether a part of a picture may be given for the whole."""

    @property
    def any_aspect(self) -> bool:
        """Whether a picture of any shape is brought to the same input."""

    @property
    def exact(self) -> bool:
        """Whether an answer is no guess, but as good for its frame as it can be."""

    def probability(self, frame: RawFrame) -> Probability:
        """The person's probability over the whole frame: float32, 0 to 1, of any size (network resolution). Raises
        ModelError where the network fails. A recurrent network carries its state from call to call."""

    def one_off(self, frame: RawFrame) -> Probability:
        """`probability` of a picture aside from the others: a recurrent network begins anew with it, and goes on with
        the next `probability` where it was."""
        return self.probability(frame)

    def sizes(self, frame: Size) -> tuple[int, ...]:
        """Short sides, in pixels and ascending, that the network may be given of such frames; () where its input is
        fixed."""
        return ()

    def prepare(self, size: int) -> None:
        """Makes that short side ready, which may take seconds. Any thread, while `probability` goes on in its own.
        Raises ModelError where the machine cannot have it, or the input is fixed."""
        raise ModelError(f"the input is fixed and cannot be {size}")

    def resize(self, size: int) -> None:
        """From the next `probability` on; at once where the size was prepared, else that call takes the time."""

    def reset(self) -> None:
        """Forgets recurrent state: another scene follows."""

    def close(self) -> None:
        """Releases its memory; no other method is called after that."""


class FixedInput(Segmenter):
    """A segmenter whose input is always the same: no network at all, or one that knows one size."""

    name = ""
    device = "cpu"
    precision = ""
    input: Size | None = None
    recurrent = False
    croppable = False
    any_aspect = True
    exact = True

    resize = Segmenter.prepare

    def reset(self) -> None:
        """Each frame stands for itself."""

    def close(self) -> None:
        """There is nothing to release."""


def networks_folder() -> Path:
    """Where converted networks are kept, and which files passed their trial."""
    return Path(platformdirs.user_cache_dir("vbgcam", appauthor=False)) / "networks"

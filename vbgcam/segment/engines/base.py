"""What the engines have in common: a `Graph` runs a network's file, an `Engine` a network of torchvision's."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import U8, Size
from vbgcam.segment.base import Probability

_FIRST: Final = slice(160)


class OutOfMemory(ModelError):  # noqa: N818  # as torch and Python name theirs
    """The machine has no room for the network at this input; a smaller one may do."""


Array = NDArray[Any]

Held = Any
"""A value that an engine keeps where it computes, as an array or a tensor of its own."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output. `shape`: None for each side that the file leaves open. `kind`: NumPy's name of its numbers'
    type; what NumPy does not know is in the engine's own words."""

    shape: tuple[int | None, ...]
    kind: str

    def __str__(self) -> str:
        return f"[{', '.join('?' if side is None else str(side) for side in self.shape)}]"


class Graph(Protocol):
    """The network of a file. Any thread may call `run`; an input whose shapes are new is prepared then, which may take
    seconds and keeps no other thread from running what is ready."""

    @property
    def device(self) -> str:
        """As in `model.device`, with what "auto" chose: "cpu", "gpu", "cuda:0", ..."""

    @property
    def precision(self) -> str:
        """ "fp32", "bf16" or "fp16"."""

    @property
    def inputs(self) -> Mapping[str, Tensor]:
        """By name, in the file's order."""

    @property
    def outputs(self) -> Mapping[str, Tensor]:
        """By name, in the file's order."""

    def run(
        self,
        feeds: Mapping[str, Array],
        output: str,
        *,
        constants: Mapping[str, Array] | None = None,
        state: Mapping[str, Held] | None = None,
        kept: Mapping[str, str] | None = None,
    ) -> tuple[Array, dict[str, Held]]:
        """What the network gives at `output`, valid until the next run, and of `kept` (input to output) what those
        inputs are to be given as `state` next time, which never leaves the device. `constants`: inputs that stay the
        same. Raises ModelError."""

    def close(self) -> None:
        """Releases its memory."""


class Engine(Protocol):
    """A network ready to run. `run` belongs to one thread."""

    @property
    def device(self) -> str:
        """ "cpu", "cuda:0", "mps"."""

    @property
    def precision(self) -> str:
        """ "fp32", "bf16" or "fp16"."""

    @property
    def lost(self) -> bool:
        """Whether it will answer no more, whatever is asked; another one must be built."""

    def prepare(self, size: Size) -> None:
        """Makes ready for pictures of that size; may take seconds. Any thread, while `run` goes on in its own. Raises
        ModelError, OutOfMemory where a smaller size may do."""

    def run(self, rgb: U8) -> Probability:
        """uint8 (height, width, 3), full range RGB, to the person's probability, float32 (height, width), 0 to 1. A
        size that was not prepared is prepared now. Raises as `prepare` does."""

    def close(self) -> None:
        """Releases its memory."""


def quiet_torch() -> None:
    """torch's warnings are for programmers. Filters stay until the process ends: taking them away again, as
    `warnings.catch_warnings` does, would disturb the other threads."""
    warnings.filterwarnings("ignore", module=r"(torch|torchvision|vbgcam\.segment)(\.|$)")


@contextlib.contextmanager
def translated(device: str, size: Size | None = None, part: slice = _FIRST) -> Iterator[None]:
    """A library's RuntimeError becomes a ModelError, of a network that failed at that input; OutOfMemory where memory
    was short. `part`: of its text, which says what happened."""
    try:
        yield
    except RuntimeError as exc:
        text, at = " ".join(str(exc).split())[part], f" at {size}" if size is not None else ""
        if any(word in text for word in ("alloc", "ALLOC_FAILED", "out of memory")):
            raise OutOfMemory(
                f"the memory of {device} is too small for the network{at}",
                fix="set model.size smaller, or choose another model",
            ) from exc
        raise ModelError(f"the network failed on {device}{at}: {text}") from exc


def one_line(text: object) -> str:
    """torch's messages run over many lines; the first ones say what happened."""
    return " ".join(str(text).split())[_FIRST]

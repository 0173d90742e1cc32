"""Cards: small TOML files that say how an ONNX network wants its picture and where its answer is.

A card lies beside the network (`selfie.onnx.toml` or `selfie.toml` for `selfie.onnx`), or ships with the program, in
`cards/`, where it is found by the file's hash or, for a family of files, by the names of its inputs. README.md here
shows a whole one.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from vbgcam.core.errors import ModelError
from vbgcam.core.specs import nearest
from vbgcam.media import toml_reader
from vbgcam.segment.download import Pin, file_digest, file_sha256

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LARGEST_SIDE: Final = 4096
_LARGEST_STATE: Final = 1 << 26

Layout = Literal["NHWC", "NCHW"]
Side = Annotated[int, Field(ge=8, le=LARGEST_SIDE)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Triple = tuple[Number, Number, Number]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CardInput(_Table):
    """`name`: "" is the network's first input. A pixel p, 0 to 255, becomes lo + p / 255 * (hi - lo) with `range`, or
    (p / 255 - mean) / std per channel."""

    name: str = ""
    size: tuple[Side, Side] | None = None
    short_side: Side = 256
    multiple_of: int = Field(default=1, ge=1, le=256)
    layout: Layout = "NCHW"
    color: Literal["RGB", "BGR"] = "RGB"
    range: tuple[Number, Number] | None = None
    mean: Triple | None = None
    std: Triple | None = None

    @model_validator(mode="after")
    def _one_way(self) -> CardInput:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together")
        if self.range is not None and self.mean is not None:
            raise ValueError("either range, or mean and std")
        return self


class CardOutput(_Table):
    """`name`: "" is the network's first output. `channel`: the person's. `activation`: what is still to be done to it;
    softmax goes over the channels."""

    name: str = ""
    channel: int = Field(default=0, ge=0, le=4096)
    layout: Layout = "NCHW"
    activation: Literal["none", "sigmoid", "softmax"] = "none"


class CardState(_Table):
    """`output`: what the input is given at the next picture. `shape`: at the start; () is what the file says, with 1
    for each side that it leaves open, which networks broadcast."""

    output: str
    shape: tuple[Annotated[int, Field(ge=1, le=LARGEST_SIDE)], ...] = Field(default=(), max_length=8)

    @model_validator(mode="after")
    def _bounded(self) -> CardState:
        if math.prod(self.shape) > _LARGEST_STATE:
            raise ValueError(f"shape has more than {_LARGEST_STATE >> 20} million values")
        return self


_table_of_name = BeforeValidator(lambda value: {"output": value} if isinstance(value, str) else value)
_list_of_one = BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])


class Card(_Table):
    """A network's description. `sha256`, `git_blob`: of the files that a shipped card is for; `inputs`: the names of
    all inputs of the family that it is for. `scales`:
    inputs that say by how much the network is to reduce the picture inside, here until its longer side has so many
    pixels. A state's plain name stands for its table, a constant's number for a list of one."""

    name: str
    about: str = ""
    sha256: tuple[str, ...] = ()
    git_blob: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    input: CardInput = CardInput()
    output: CardOutput = CardOutput()
    state: dict[str, Annotated[CardState, _table_of_name]] = {}
    constants: dict[str, Annotated[tuple[Number, ...], _list_of_one]] = {}
    scales: dict[str, Side] = {}


def read(path: Path) -> Card:
    """The card in the file. Raises ModelError with every mistake, in one line."""
    try:
        return Card.model_validate(toml_reader.read(path))
    except ValidationError as exc:
        problems = "; ".join(_problem(error) for error in exc.errors())
        raise ModelError(f"{path}: {problems[:1000]}") from exc
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ModelError(f"{path} is {exc}") from exc


def _problem(error: ErrorDetails) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{name} is missing"
    if error["type"] == "extra_forbidden":
        tables = (("input.", CardInput), ("output.", CardOutput), ("", Card))
        known = [prefix + key for prefix, table in tables for key in table.model_fields]
        return f"there is no {name!r}{nearest(name, known)}"
    return f"{name} = {toml_reader.shortened(error['input'])}: {error['msg'].removeprefix('Input ')}"


def beside(network: Path) -> Path | None:
    """The card that lies beside the file."""
    paths = (network.with_name(network.name + ".toml"), network.with_suffix(".toml"))
    # False, too, for a name that is too long.
    return next((path for path in paths if os.path.isfile(path)), None)  # noqa: PTH113  # Path's raises there


def find(network: Path, inputs: tuple[str, ...]) -> Card | None:
    """The card of a network whose inputs have these names: beside the file, else a shipped one. Raises ModelError."""
    own = beside(network)
    if own is not None:
        return read(own)
    sha256, git_blob = file_sha256(network), file_digest(network, Pin("", git=True))
    by_hash = (card for card in shipped() if sha256 in card.sha256 or git_blob in card.git_blob)
    by_inputs = (card for card in shipped() if card.inputs and set(card.inputs) == set(inputs))
    return next(itertools.chain(by_hash, by_inputs), None)


def is_known(sha256: str) -> bool:
    """Whether a shipped card is for the file of that hash."""
    return any(sha256 in card.sha256 for card in shipped())


@functools.cache
def shipped() -> tuple[Card, ...]:
    """The cards that come with the program."""
    return tuple(read(path) for path in sorted((Path(__file__).parent / "cards").glob("*.toml")))

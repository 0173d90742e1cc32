"""Cards: small TOML files that say how an ONNX network wants its picture and where its answer is.

A card lies beside the network (`selfie.onnx.toml` or `selfie.toml` for `selfie.onnx`), or ships with the program, in
`cards/`, where it is found by the file's SHA-256 or, for a family of files, by the names of its inputs. An example:

    name = "my network"
    [input]
    size = [256, 256]            # height, width; or short_side and multiple_of for a network of any size
    layout = "NHWC"
    range = [-1, 1]              # what 0 and 255 become; or mean and std, of values from 0 to 1
    [output]
    channel = 15
    activation = "softmax"
    [state]                      # recurrent networks: input = output, zeros at the start
    r1i = "r1o"
    [constants]                  # further inputs
    downsample_ratio = 0.5
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vbgcam.errors import ModelError
from vbgcam.specs import nearest

_LARGEST_CARD: Final = 1 << 16

Layout = Literal["NHWC", "NCHW"]
Side = Annotated[int, Field(ge=8, le=4096)]
Triple = tuple[float, float, float]


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
    range: tuple[float, float] | None = None
    mean: Triple | None = None
    std: Triple | None = None

    @model_validator(mode="after")
    def _one_way(self) -> CardInput:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together")
        if self.range is not None and self.mean is not None:
            raise ValueError("either range, or mean and std")
        if self.std is not None and 0 in self.std:
            raise ValueError("std must not be 0")
        return self


class CardOutput(_Table):
    """`name`: "" is the network's first output. `channel`: the person's. `activation`: what is still to be done to it;
    softmax goes over the channels."""

    name: str = ""
    channel: int = Field(default=0, ge=0, le=4096)
    layout: Layout = "NCHW"
    activation: Literal["none", "sigmoid", "softmax"] = "none"


class Card(_Table):
    """A network's description. `sha256`: of the files that a shipped card is for; `inputs`: the names of all inputs of
    the family that it is for."""

    name: str
    about: str = ""
    sha256: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    input: CardInput = CardInput()
    output: CardOutput = CardOutput()
    state: dict[str, str] = {}
    constants: dict[str, float | list[float]] = {}


def read(path: Path) -> Card:
    """The card in the file. Raises ModelError with every mistake, in one line."""
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise ModelError(f"{path} is too large for a card: more than {_LARGEST_CARD >> 10} KiB")
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ModelError(f"{path} is no TOML: it is not UTF-8 text") from exc
    return parse(text, str(path))


def parse(text: str, place: str) -> Card:
    """`place` names the card in an error. Raises ModelError."""
    try:
        return Card.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise ModelError(f"{place} is no TOML: {exc}") from exc
    except ValidationError as exc:
        problems = []
        for error in exc.errors():
            name = ".".join(str(part) for part in error["loc"])
            if error["type"] == "extra_forbidden":
                problems.append(f"there is no {name!r}{nearest(name, _keys())}")
            elif error["type"] == "value_error":
                problems.append(f"{name}: {error['ctx']['error']}")
            else:
                problems.append(f"{name} = {error['input']!r}: {error['msg'].removeprefix('Input ')}")
        raise ModelError(f"{place}: {'; '.join(problems)}") from exc


def find(network: Path, inputs: tuple[str, ...]) -> Card | None:
    """The card of a network whose inputs have these names: beside the file, else a shipped one. Raises ModelError."""
    for path in (network.with_name(network.name + ".toml"), network.with_suffix(".toml")):
        if path.exists():
            return read(path)
    cards = shipped()
    if any(card.sha256 for card in cards):
        found = _sha256(network)
        for card in cards:
            if found in card.sha256:
                return card
    return next((card for card in cards if card.inputs and set(card.inputs) == set(inputs)), None)


@functools.cache
def shipped() -> tuple[Card, ...]:
    """The cards that come with the program."""
    folder = resources.files("vbgcam.segment").joinpath("cards")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return tuple(parse(file.read_text(encoding="utf-8"), f"cards/{file.name}") for file in files)


def _keys() -> list[str]:
    tables = (("input.", CardInput), ("output.", CardOutput), ("", Card))
    return [prefix + key for prefix, table in tables for key in table.model_fields]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as exc:
        raise ModelError(f"{path} cannot be read: {exc.strerror}") from exc

"""Any person network in an ONNX file, described by a card (see `card`), whichever engine runs it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.pixels.convert import small_rgb
from vbgcam.segment import base, trial
from vbgcam.segment.base import LADDER, LIVE_START, Options, Probability, Segmenter
from vbgcam.segment.bounded import bounded
from vbgcam.segment.card import LARGEST_SIDE, Card, CardInput, find, is_known
from vbgcam.segment.download import file_sha256
from vbgcam.segment.engines import devices
from vbgcam.segment.engines.base import Graph, Held

log = logging.getLogger(__name__)

_INPUTS: Final = ("float32", "float16", "uint8")
_OUTPUTS: Final = ("float32", "float16")
# A probability goes from 0 to 1; the last upsampling of some networks swings over a little.
_SWING: Final = 0.5
# Sides of the answer by those of the input.
_SMALLEST: Final = 1 / 64
_LARGEST: Final = 16


class OnnxSegmenter(Segmenter):
    """See `vbgcam.segment.Segmenter`."""

    name = ""
    input: Size | None = None
    recurrent = False
    croppable = True
    any_aspect = False
    exact = False

    def __init__(self, path: Path, graph: Graph, card: Card, options: Options) -> None:
        """Raises ModelError where the card does not fit the file."""
        self._path, self._graph, self._card, self._hard = path, graph, card, options.hard
        self.name = f"onnx:{path}"
        inputs, outputs = graph.inputs, graph.outputs
        self._input = self._known(card.input.name or next(iter(inputs), "image"), inputs, "input")
        self._output = self._known(card.output.name or next(iter(outputs)), outputs, "output")
        if outputs[self._output].kind not in _OUTPUTS:
            raise self._unfit(f"the output {self._output} is {outputs[self._output].kind}, no probability")
        self._states = {
            self._known(name, inputs, "input"): self._known(state.output, outputs, "output")
            for name, state in card.state.items()
        }
        given = {self._known(name, inputs, "input") for name in (*card.constants, *card.scales)}
        lacking = set(inputs) - {self._input} - set(self._states) - given
        if lacking:
            raise self._unfit(f"nothing is said of the input {', '.join(sorted(lacking))}")
        self._image = inputs[self._input]
        self._image_kind = self._kind(self._input)
        # A side that the file leaves open is 1, which networks broadcast.
        self._first: dict[str, Held] = {
            name: np.zeros(state.shape or [side or 1 for side in inputs[name].shape], self._kind(name))
            for name, state in card.state.items()
        }
        self.recurrent = bool(card.state)
        self._fixed = self._fixed_size()
        self.any_aspect = None not in self._fixed
        self._is_open = self._fixed == (None, None)
        self._short_side = options.size or card.input.short_side
        if self._is_open and options.size is None and options.live:
            self._short_side = LIVE_START["cpu" if graph.device == "cpu" else "gpu"]
        self._lookup = _lookup(card.input, self._image_kind)
        self._state = self._first
        self._state_size: Size | None = None
        # The last picture of each shape: whole frames, and the square parts that a crop gives.
        self._pictures: dict[bool, Size] = {}
        # One picture through it: an answer of the wrong shape, or none at all, is found now and not on air.
        self._infer(self._nothing(Size(64, 64)))
        self.reset()

    @classmethod
    def load(cls, path: Path, options: Options, *, tried: bool = False, place: devices.Place | None = None) -> Self:
        """`tried`: the file needs no trial (see `trial`). `place`: in place of the options' device. Raises
        ModelError."""
        if not os.path.isfile(path):  # noqa: PTH113  # Path's raises for a name that is too long
            raise ModelError(f"{path}: there is no such ONNX file", fix="check its name")
        place = place or devices.for_onnx(options.device)
        sha256 = file_sha256(path)
        if not tried and not is_known(sha256):
            trial.passed(path, sha256, options, base.networks_folder())
        # A GPU's driver maps gigabytes that are not the file's.
        with bounded(path) if place.name == "cpu" else contextlib.nullcontext():
            graph = _graph(path, place, options)
            return cls(path, graph, _card(path, graph), options)

    @property
    def device(self) -> str:
        """The engine's."""
        return self._graph.device

    @property
    def precision(self) -> str:
        """The engine's; "fp16" where the file's own numbers are."""
        return "fp16" if self._image_kind == "float16" else self._graph.precision

    def probability(self, frame: RawFrame) -> Probability:
        """At the network's own resolution, float32, (height, width)."""
        self._pictures[frame.size.width == frame.size.height] = frame.size
        size = self._input_size(frame.size)
        if size != self._state_size:  # a recurrent state has the picture's size
            self.reset()
            self._state_size = size
        self.input = size
        return self._infer(small_rgb(frame.planes, size))

    def one_off(self, frame: RawFrame) -> Probability:
        """With a state of its own."""
        kept, size = self._state, self._state_size
        self.reset()
        try:
            return self.probability(frame)
        finally:
            self._state, self._state_size = kept, size

    def logits(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network gives for a picture (uint8, (height, width, 3), RGB), before any activation: float32,
        (classes, rows, columns). Raises ModelError."""
        size = self._input_size(Size(rgb.shape[1], rgb.shape[0]))
        small = np.asarray(cv2.resize(rgb, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(self._planes(self._answer(small, self._state)[0]))

    def sizes(self, frame: Size) -> tuple[int, ...]:
        """The ladder, as far as the frame goes, where the file leaves both sides open."""
        low = min(frame.width, frame.height)
        return tuple(size for size in LADDER if size <= low) or (low,) if self._is_open else ()

    def prepare(self, size: int) -> None:
        """Two empty pictures for each shape of picture that came so far: a recurrent network's second state has another
        shape than its first."""
        if not self._is_open:
            super().prepare(size)
        for picture in self._pictures.copy().values():
            state = self._first
            for _ in range(2 if self.recurrent else 1):
                _answer, state = self._answer(self._nothing(picture, size), state)

    def resize(self, size: int) -> None:
        """From the next picture on."""
        if self._is_open:
            self._short_side = size

    def reset(self) -> None:
        """Recurrent states begin as zeros."""
        self._state = self._first

    def close(self) -> None:
        """Gives the memory back."""
        self._graph.close()

    def _nothing(self, picture: Size, short_side: int | None = None) -> NDArray[np.uint8]:
        size = self._input_size(picture, short_side)
        return np.zeros((size.height, size.width, 3), np.uint8)

    def _infer(self, rgb: NDArray[np.uint8]) -> Probability:
        answer, self._state = self._answer(rgb, self._state)
        person = self._person(answer, rgb.shape[:2])
        lowest, highest = float(person.min()), float(person.max())
        if not (lowest >= -_SWING and highest <= 1 + _SWING):  # NaN is not
            self.reset()  # a state that went wrong would stay so
            if not np.isfinite([lowest, highest]).all():
                raise ModelError(f"{self._path}: the network gave values that are not finite")
            raise self._unfit(
                f"the output {self._output} goes from {lowest:.4g} to {highest:.4g} and not from 0 to 1 (activation?)"
            )
        return np.asarray(person >= 0.5 if self._hard else np.clip(person, 0, 1), np.float32)

    def _answer(self, rgb: NDArray[np.uint8], state: dict[str, Held]) -> tuple[NDArray[Any], dict[str, Held]]:
        """What the network gives, and the state that it wants with the next picture."""
        scales = {name: (min(1.0, longest / max(rgb.shape)),) for name, longest in self._card.scales.items()}
        constants = {
            name: np.asarray(value, self._kind(name)) for name, value in {**self._card.constants, **scales}.items()
        }
        try:
            return self._graph.run(
                {self._input: self._picture(rgb)}, self._output, constants=constants, state=state, kept=self._states
            )
        except ModelError as exc:
            raise ModelError(f"{self._path}: {exc.message}", fix=exc.fix) from exc

    def _picture(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        if self._card.input.color == "BGR":
            rgb = np.ascontiguousarray(rgb[..., ::-1])
        picture = np.asarray(cv2.LUT(rgb, self._lookup))
        if self._card.input.layout == "NCHW":
            picture = picture.transpose(2, 0, 1)
        return np.ascontiguousarray(picture[None], self._image_kind)

    def _planes(self, answer: NDArray[Any]) -> NDArray[np.float32]:
        """What the network gave, as (channels, rows, columns)."""
        channels_last = self._card.output.layout == "NHWC"
        planes = answer
        if planes.ndim == 2:
            planes = planes[None]
        if planes.ndim == 3:  # (batch, height, width)
            planes = planes[..., None] if channels_last else planes[:, None]
        if planes.ndim != 4 or len(planes) != 1:
            raise self._unfit(f"the output {self._output} has the shape {list(answer.shape)}")
        return np.asarray(planes[0].transpose(2, 0, 1) if channels_last else planes[0], np.float32)

    def _person(self, answer: NDArray[Any], seen: tuple[int, ...]) -> NDArray[np.float32]:
        """The person's channel of what the network gave, activated. `seen`: height and width of the input."""
        planes, channel = self._planes(answer), self._card.output.channel
        # Another layout, or one answer for the whole picture, would make a mask, too.
        scales = [side / whole for side, whole in zip(planes.shape[1:], seen, strict=True)]
        if min(scales) < _SMALLEST or max(scales) > _LARGEST or max(scales) > 1.5 * min(scales):
            raise self._unfit(
                f"the output {self._output} has the shape {list(answer.shape)} for an input of {seen[0]}x{seen[1]} "
                "(layout?)"
            )
        if channel >= len(planes):
            raise self._unfit(f"the output {self._output} has {len(planes)} channels, there is no channel {channel}")
        person = np.ascontiguousarray(planes[channel])
        match self._card.output.activation:
            case "softmax" if self._hard:
                return np.asarray(planes.argmax(0) == channel, np.float32)
            case "softmax":
                # exp(p) / sum exp(c), as 1 / sum exp(c - p): a third of the time, and what overflows becomes 0.
                with np.errstate(over="ignore"):
                    return np.asarray(1 / np.einsum("chw->hw", np.exp(planes - person)), np.float32)
            case "sigmoid":
                return np.asarray(1 / (1 + np.exp(-np.clip(person, -60, 60))), np.float32)
        return person

    def _input_size(self, frame: Size, short_side: int | None = None) -> Size:
        """The network's own, or the frame's shape with that short side."""
        multiple = self._card.input.multiple_of
        scale = min(
            (short_side or self._short_side) / min(frame.width, frame.height),
            LARGEST_SIDE / max(frame.width, frame.height),
        )
        height, width = (
            max(multiple, round(side * scale / multiple) * multiple) for side in (frame.height, frame.width)
        )
        return Size(self._fixed[1] or width, self._fixed[0] or height)

    def _fixed_size(self) -> tuple[int | None, int | None]:
        """Height and width where the file or the card gives them."""
        shape, said = self._image.shape, f"{self._input} {self._image}"
        channels_last = self._card.input.layout == "NHWC"
        if len(shape) != 4:
            raise self._unfit(
                f"the input {self._input} has the shape {self._image}, not batch, height, width and channels"
            )
        sides = shape[1:3] if channels_last else shape[2:4]
        channels = shape[3] if channels_last else shape[1]
        if channels not in (None, 3):
            raise self._unfit(f"the input {said} has no 3 channels in {self._card.input.layout}")
        own = tuple(sides)
        if any(side is not None and not 1 <= side <= LARGEST_SIDE for side in own):
            raise self._unfit(f"the input {said} is larger than {LARGEST_SIDE} pixels")
        asked = self._card.input.size
        if asked is not None and any(side not in (None, wish) for side, wish in zip(own, asked, strict=True)):
            raise self._unfit(f"its input is {own[0]}x{own[1]} (height x width), not {asked[0]}x{asked[1]}")
        return asked or (own[0], own[1])

    def _kind(self, name: str) -> str:
        kind = self._graph.inputs[name].kind
        if kind not in _INPUTS:
            raise self._unfit(f"the input {name} takes {kind}, which cannot be given")
        return kind

    def _known(self, name: str, names: Any, kind: str) -> str:
        if name not in names:
            raise self._unfit(f"there is no {kind} {name!r}, only {', '.join(names) or 'none'}")
        return name

    def _unfit(self, why: str) -> ModelError:
        return ModelError(f"{self._path}: the card {self._card.name!r} does not fit this network: {why}")


def _lookup(card: CardInput, kind: str) -> NDArray[Any]:
    """What each step of each channel becomes, in the order in which the network sees the channels: (1, 256, 3), or
    (1, 256) where all become the same, which OpenCV looks up in half the time (0.08 ms at 256x256)."""
    steps = np.arange(256, dtype=np.float64)[:, None] / 255
    if card.mean is not None and card.std is not None:
        values = (steps - np.array(card.mean)) / np.array(card.std)
    else:
        low, high = card.range or (0.0, 1.0)
        values = (low + steps * (high - low))[:, 0]
    if kind == "uint8":
        values = np.clip(np.rint(values), 0, 255)
    return np.asarray(values[None], "uint8" if kind == "uint8" else "float32")


def _graph(path: Path, place: devices.Place, options: Options) -> Graph:
    if place.engine == "onnxruntime":
        from vbgcam.segment.engines.onnxruntime import OnnxruntimeGraph

        number = place.name.partition(":")[2]
        return OnnxruntimeGraph(path, place.where, int(number or 0), place.name)
    from vbgcam.segment.engines.openvino import OpenVinoGraph, read_onnx

    # One thread is enough, and the cheapest: of the processor's time two take as much (DeepLabV3 8.2 ms, selfie 1.8).
    return OpenVinoGraph(read_onnx(path), place.where, options.threads or 1)


def _card(path: Path, graph: Graph) -> Card:
    card = find(path, tuple(graph.inputs))
    if card is None:
        have = "; ".join(
            f"{kind} {', '.join(f'{name} {tensor}' for name, tensor in tensors.items())}"
            for kind, tensors in (("inputs", graph.inputs), ("outputs", graph.outputs))
        )
        raise ModelError(
            f"{path}: no card tells how this network is used ({have})",
            fix=f"write {path.name}.toml beside it, as the README's section on cards shows",
        )
    log.debug("%s: card %s", path, card.name)
    return card


def main() -> None:
    """`python -m vbgcam.segment.onnx`: the process that tries a file, of which `trial` says what it reads. Its
    answer is null or an error, in JSON."""
    if sys.platform == "linux":
        signal.alarm(round(2 * trial.LONGEST_S))  # whoever asked may have gone
    given = json.load(sys.stdin)
    options = Options(**{**given["options"], "folder": Path(given["options"]["folder"])})
    error = None
    try:
        OnnxSegmenter.load(Path(given["path"]), options, tried=True).close()
    except ModelError as exc:
        error = {"message": exc.message, "fix": exc.fix}
    print(json.dumps(error))  # noqa: T201  # its answer


if __name__ == "__main__":
    main()

"""Any person network in an ONNX file, described by a card (see `card`).

onnxruntime is an extra: `pip install 'vbgcam[onnx]'`. Its errors are plain `Exception`s of a compiled module, so this
adapter catches them by that name, around single calls of onnxruntime alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from vbgcam.core.errors import ModelError
from vbgcam.core.frames import RawFrame, Size
from vbgcam.pixels.convert import small_rgb
from vbgcam.segment.base import FixedInput, Options, Probability
from vbgcam.segment.bounded import bounded
from vbgcam.segment.card import LARGEST_SIDE, Card, CardInput, find

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg, RunOptions

log = logging.getLogger(__name__)

_INPUTS: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_OUTPUTS: Final = ("tensor(float)", "tensor(float16)")
# A probability goes from 0 to 1; the last upsampling of some networks swings over a little.
_SWING: Final = 0.5
# Sides of the answer by those of the input.
_SMALLEST: Final = 1 / 64
_LARGEST: Final = 16
_CPU: Final = "CPUExecutionProvider"
_PROVIDERS: Final = {
    "CUDAExecutionProvider": "cuda",
    "DmlExecutionProvider": "directml",
    "CoreMLExecutionProvider": "coreml",
    _CPU: "cpu",
}
_DEVICES: Final = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
# Seconds for the first picture: a thousand times what a network that can be used live takes. A loop in a file of some
# hundred bytes may turn for ever, and nothing but this ends it: signals wait until onnxruntime is done.
_FIRST_S: Final = 60.0


class OnnxSegmenter(FixedInput):
    """See `vbgcam.segment.Segmenter`."""

    def __init__(self, path: Path, session: InferenceSession, card: Card, options: Options) -> None:
        """Raises ModelError where the card does not fit the file."""
        import onnxruntime

        self._path, self._session, self._card, self._hard = path, session, card, options.hard
        self.name = f"onnx:{path}"
        self.device = _PROVIDERS.get(session.get_providers()[0], "cpu")
        inputs = {item.name: item for item in session.get_inputs()}
        outputs = {item.name: item for item in session.get_outputs()}
        self._input = self._known(card.input.name or next(iter(inputs), "image"), inputs, "input")
        self._output = self._known(card.output.name or next(iter(outputs)), outputs, "output")
        if outputs[self._output].type not in _OUTPUTS:
            raise self._unfit(f"the output {self._output} is {outputs[self._output].type}, no probability")
        self._states = {
            self._known(name, inputs, "input"): self._known(state.output, outputs, "output")
            for name, state in card.state.items()
        }
        self._constants = {
            self._known(name, inputs, "input"): np.asarray(value, self._type(inputs[name]))
            for name, value in card.constants.items()
        }
        lacking = set(inputs) - {self._input} - set(self._states) - set(self._constants)
        if lacking:
            raise self._unfit(f"nothing is said of the input {', '.join(sorted(lacking))}")
        self._image = inputs[self._input]
        self._image_type = self._type(self._image)
        # A side that the file leaves open is 1, which networks broadcast.
        self._first = {
            name: np.zeros(
                state.shape or [side if isinstance(side, int) and side > 0 else 1 for side in inputs[name].shape],
                self._type(inputs[name]),
            )
            for name, state in card.state.items()
        }
        self.precision = "fp16" if self._image_type is np.float16 else "fp32"
        self.recurrent = bool(card.state)
        self._fixed = self._fixed_size()
        self.croppable, self.exact = True, False
        self.any_aspect = None not in self._fixed
        self._short_side = options.size or card.input.short_side
        self._lookup = _lookup(card.input, self._image_type)
        self._state: dict[str, NDArray[Any]] = {}
        self._state_size: Size | None = None
        self.reset()
        # One picture through it: an answer of the wrong shape, or none at all, is found now and not on air.
        run_options = onnxruntime.RunOptions()
        late = threading.Timer(_FIRST_S, setattr, (run_options, "terminate", True))
        late.daemon = True
        late.start()
        try:
            size = self._input_size(Size(64, 64))
            self._infer(np.zeros((size.height, size.width, 3), np.uint8), run_options)
        finally:
            late.cancel()
        self.reset()

    @classmethod
    def load(cls, path: Path, options: Options) -> Self:
        """Raises ModelError."""
        try:
            providers = _providers(path, options.device)
        except ImportError as exc:
            raise ModelError(f"onnx:{path} needs onnxruntime", fix="pip install 'vbgcam[onnx]'") from exc
        if not os.path.isfile(path):  # noqa: PTH113  # Path's raises for a name that is too long
            raise ModelError(f"{path}: there is no such ONNX file", fix="check its name")
        # A GPU's driver maps gigabytes that are not the file's.
        with bounded(path) if providers == [_CPU] else contextlib.nullcontext():
            session = _session(path, options, providers)
            return cls(path, session, _card(path, session), options)

    def probability(self, frame: RawFrame) -> Probability:
        """At the network's own resolution, float32, (height, width)."""
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
        return np.ascontiguousarray(self._planes(self._answer(small)[0]))

    def reset(self) -> None:
        """Recurrent states begin as zeros."""
        self._state = dict(self._first)

    def _infer(self, rgb: NDArray[np.uint8], run_options: RunOptions | None = None) -> Probability:
        answer, self._state = self._answer(rgb, run_options)
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

    def _answer(
        self, rgb: NDArray[np.uint8], run_options: RunOptions | None = None
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """What the network gives, and the states that it wants with the next picture. `run_options`: to break off."""
        names = [self._output, *self._states.values()]
        feeds = {self._input: self._picture(rgb), **self._state, **self._constants}
        try:
            answer, *states = self._session.run(names, feeds, run_options)
        except Exception as exc:  # onnxruntime has no common base of its errors
            if run_options is not None and run_options.terminate:
                raise ModelError(f"{self._path}: the network gave no answer in {_FIRST_S:.0f} s") from exc
            raise ModelError(f"{self._path}: the network failed: {_reason(exc)}") from exc
        return np.asarray(answer), dict(zip(self._states, states, strict=True))

    def _picture(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        if self._card.input.color == "BGR":
            rgb = np.ascontiguousarray(rgb[..., ::-1])
        picture = np.asarray(cv2.LUT(rgb, self._lookup))
        if self._card.input.layout == "NCHW":
            picture = picture.transpose(2, 0, 1)
        return np.ascontiguousarray(picture[None], self._image_type)

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

    def _input_size(self, frame: Size) -> Size:
        """The network's own, or the frame's shape with the card's short side."""
        multiple = self._card.input.multiple_of
        scale = min(self._short_side / min(frame.width, frame.height), LARGEST_SIDE / max(frame.width, frame.height))
        height, width = (
            max(multiple, round(side * scale / multiple) * multiple) for side in (frame.height, frame.width)
        )
        return Size(self._fixed[1] or width, self._fixed[0] or height)

    def _fixed_size(self) -> tuple[int | None, int | None]:
        """Height and width where the file or the card gives them."""
        shape = self._image.shape
        channels_last = self._card.input.layout == "NHWC"
        if len(shape) != 4:
            raise self._unfit(f"the input {self._input} has the shape {shape}, not batch, height, width and channels")
        sides = shape[1:3] if channels_last else shape[2:4]
        channels = shape[3] if channels_last else shape[1]
        if isinstance(channels, int) and channels != 3:
            raise self._unfit(f"the input {self._input} {shape} has no 3 channels in {self._card.input.layout}")
        own = tuple(side if isinstance(side, int) else None for side in sides)
        if any(side is not None and not 1 <= side <= LARGEST_SIDE for side in own):
            raise self._unfit(f"the input {self._input} {shape} is larger than {LARGEST_SIDE} pixels")
        asked = self._card.input.size
        if asked is not None and any(side not in (None, wish) for side, wish in zip(own, asked, strict=True)):
            raise self._unfit(f"its input is {own[0]}x{own[1]} (height x width), not {asked[0]}x{asked[1]}")
        return asked or (own[0], own[1])

    def _type(self, item: NodeArg) -> type[Any]:
        if item.type not in _INPUTS:
            raise self._unfit(f"the input {item.name} takes {item.type}, which cannot be given")
        return _INPUTS[item.type]

    def _known(self, name: str, names: Any, kind: str) -> str:
        if name not in names:
            raise self._unfit(f"there is no {kind} {name!r}, only {', '.join(names) or 'none'}")
        return name

    def _unfit(self, why: str) -> ModelError:
        return ModelError(f"{self._path}: the card {self._card.name!r} does not fit this network: {why}")


def _lookup(card: CardInput, kind: type[Any]) -> NDArray[Any]:
    """What each step of each channel becomes, in the order in which the network sees the channels: (1, 256, 3), or
    (1, 256) where all become the same, which OpenCV looks up in half the time (0.08 ms at 256x256)."""
    steps = np.arange(256, dtype=np.float64)[:, None] / 255
    if card.mean is not None and card.std is not None:
        values = (steps - np.array(card.mean)) / np.array(card.std)
    else:
        low, high = card.range or (0.0, 1.0)
        values = (low + steps * (high - low))[:, 0]
    if kind == np.uint8:
        values = np.clip(np.rint(values), 0, 255)
    return np.asarray(values[None], kind if kind == np.uint8 else np.float32)


def _providers(path: Path, device: str) -> list[str]:
    """In order of preference. Raises ModelError where the one asked for is not there."""
    import onnxruntime

    there = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
    if device not in _DEVICES:
        return [_CPU] if device == "cpu" else there
    if _DEVICES[device] not in there:
        raise ModelError(
            f"onnx:{path}: this onnxruntime has no {device}, only {', '.join(_PROVIDERS[name] for name in there)}",
            fix="pip install onnxruntime-gpu" if device == "cuda" else "",
        )
    return [_DEVICES[device], _CPU]


def _session(path: Path, options: Options, providers: list[str]) -> InferenceSession:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    # One thread is enough for small networks: on two cores the selfie network takes 5.9 ms with one and 6.5 with two,
    # DeepLabV3 32 and 33, both more where others need the cores. Idle threads that spin would take their time.
    settings.intra_op_num_threads = options.threads or 1
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # Without the fallback, which says on stdout that it now tries the CPU instead of the CPU.
        fallback = int(providers != [_CPU])
        session = onnxruntime.InferenceSession(str(path), settings, providers=providers, enable_fallback=fallback)
    except MemoryError:
        raise
    except Exception as exc:  # onnxruntime has no common base of its errors
        raise ModelError(f"{path} is no ONNX network that can be run: {_reason(exc)}") from exc
    if options.device in _DEVICES and session.get_providers()[0] != providers[0]:
        raise ModelError(f"onnx:{path}: {options.device} cannot be used here", fix="use `--set model.device=auto`")
    return session


def _card(path: Path, session: InferenceSession) -> Card:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    card = find(path, tuple(item.name for item in inputs))
    if card is None:
        have = "; ".join(
            f"{kind} {', '.join(f'{item.name} {item.shape}' for item in items)}"
            for kind, items in (("inputs", inputs), ("outputs", outputs))
        )
        raise ModelError(
            f"{path}: no card tells how this network is used ({have})",
            fix=f"write {path.name}.toml beside it, as the README's section on cards shows",
        )
    log.debug("%s: card %s", path, card.name)
    return card


def _reason(exc: BaseException) -> str:
    """The first line of what onnxruntime says, without its places in C++ and the path that stands before it anyway."""
    line = (str(exc).strip() or type(exc).__name__).splitlines()[0]
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:\s*)?", "", line)
    return line if len(line) <= 240 else line[:240] + "..."

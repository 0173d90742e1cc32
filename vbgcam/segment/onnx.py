"""Any person network in an ONNX file, described by a card (see `card`).

onnxruntime is an extra: `pip install 'vbgcam[onnx]'`. Its errors are plain `Exception`s of a compiled module, so this
adapter catches them by that name, around single calls of onnxruntime alone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from vbgcam.errors import ModelError
from vbgcam.frames import RawFrame, Size
from vbgcam.pixels import small_rgb
from vbgcam.segment import Options, Probability
from vbgcam.segment.card import Card, CardInput, find

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

log = logging.getLogger(__name__)

_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_PROVIDERS: Final = {
    "CUDAExecutionProvider": "cuda",
    "DmlExecutionProvider": "directml",
    "CoreMLExecutionProvider": "coreml",
    "CPUExecutionProvider": "cpu",
}


class OnnxSegmenter:
    """See `vbgcam.segment.Segmenter`."""

    name: str
    device: str

    def __init__(self, path: Path, session: InferenceSession, card: Card, options: Options) -> None:
        """Raises ModelError where the card does not fit the file."""
        self._path, self._session, self._card, self._hard = path, session, card, options.hard
        self.name = f"onnx:{path}"
        self.device = _PROVIDERS.get(session.get_providers()[0], "cpu")
        inputs = {item.name: item for item in session.get_inputs()}
        outputs = [item.name for item in session.get_outputs()]
        self._input = self._known(card.input.name or next(iter(inputs)), inputs, "input")
        self._output = self._known(card.output.name or outputs[0], outputs, "output")
        self._states = {
            self._known(own, inputs, "input"): self._known(other, outputs, "output")
            for own, other in card.state.items()
        }
        self._constants = {
            self._known(name, inputs, "input"): np.atleast_1d(np.asarray(value, self._type(inputs[name])))
            for name, value in card.constants.items()
        }
        lacking = set(inputs) - {self._input} - set(self._states) - set(self._constants)
        if lacking:
            raise self._unfit(f"nothing is said of the input {', '.join(sorted(lacking))}")
        self._image = inputs[self._input]
        self._image_type = self._type(self._image)
        self._state_types = {name: self._type(inputs[name]) for name in self._states}
        self._fixed = self._fixed_size()
        self._short_side = options.size or card.input.short_side
        self._scale, self._offset = _normalisation(card.input)
        self._state: dict[str, NDArray[Any]] = {}
        self._state_size: Size | None = None
        self.reset()
        # One picture through it now: an answer of the wrong shape is found here and not on air.
        self._infer(np.zeros((*self._input_size(Size(64, 64)), 3), np.uint8))
        self.reset()

    @classmethod
    def load(cls, path: Path, options: Options) -> Self:
        """Raises ModelError."""
        try:
            import onnxruntime
        except ImportError as exc:
            raise ModelError(f"onnx:{path} needs onnxruntime", mend="pip install 'vbgcam[onnx]'") from exc
        if not path.is_file():
            raise ModelError(f"{path}: there is no such ONNX file", mend="check its name")
        onnxruntime.set_default_logger_severity(4)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        # Small networks are most economical on one thread, and idle threads that spin take the picture's time.
        settings.intra_op_num_threads = options.threads or 1
        settings.inter_op_num_threads = 1
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(path), settings, providers=_providers(path, options.device))
        except Exception as exc:  # onnxruntime has no common base of its errors
            raise ModelError(f"{path} is no ONNX network that can be run: {_first_line(exc)}") from exc
        inputs, outputs = session.get_inputs(), session.get_outputs()
        card = find(path, tuple(item.name for item in inputs))
        if card is None:
            have = "; ".join(
                f"{kind} {', '.join(f'{item.name} {item.shape}' for item in items)}"
                for kind, items in (("inputs", inputs), ("outputs", outputs))
            )
            raise ModelError(
                f"{path}: no card tells how this network is used ({have})",
                mend=f"write {path.name}.toml beside it, as the README's section on cards shows",
            )
        log.debug("%s: card %s", path, card.name)
        return cls(path, session, card, options)

    def probability(self, frame: RawFrame) -> Probability:
        """At the network's own resolution, float32, (height, width)."""
        height, width = self._input_size(frame.size)
        size = Size(width, height)
        if size != self._state_size:  # a recurrent state has the picture's size
            self.reset()
            self._state_size = size
        return self._infer(small_rgb(frame.planes, size))

    def reset(self) -> None:
        """Recurrent states begin as one zero, which networks broadcast, or as zeros of the size that the file says."""
        shapes = {item.name: item.shape for item in self._session.get_inputs()}
        self._state = {
            name: np.zeros([side if isinstance(side, int) else 1 for side in shapes[name]], self._state_types[name])
            for name in self._states
        }

    def close(self) -> None:
        self._state = {}

    def _infer(self, rgb: NDArray[np.uint8]) -> Probability:
        names = [self._output, *self._states.values()]
        feeds = {self._input: self._picture(rgb), **self._state, **self._constants}
        try:
            answer, *states = self._session.run(names, feeds)
        except Exception as exc:  # onnxruntime has no common base of its errors
            raise ModelError(f"{self._path}: the network failed: {_first_line(exc)}") from exc
        self._state = dict(zip(self._states, states, strict=True))
        return self._person(np.asarray(answer))

    def _picture(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        if self._card.input.color == "BGR":
            rgb = rgb[..., ::-1]
        picture = rgb * self._scale + self._offset
        if self._image_type == np.uint8:
            picture = np.clip(np.rint(picture), 0, 255)
        if self._card.input.layout == "NCHW":
            picture = picture.transpose(2, 0, 1)
        return np.ascontiguousarray(picture[None], self._image_type)

    def _person(self, answer: NDArray[Any]) -> Probability:
        """The person's channel of what the network gave, activated."""
        if answer.ndim == 3:  # (batch, height, width)
            answer = answer[:, None] if self._card.output.layout == "NCHW" else answer[..., None]
        if answer.ndim == 2:
            answer = answer[None, None] if self._card.output.layout == "NCHW" else answer[None, ..., None]
        if answer.ndim != 4 or answer.shape[0] != 1:
            raise self._unfit(f"the output {self._output} has the shape {list(answer.shape)}")
        classes = answer[0] if self._card.output.layout == "NCHW" else answer[0].transpose(2, 0, 1)
        channel = self._card.output.channel
        if channel >= len(classes):
            raise self._unfit(f"the output {self._output} has {len(classes)} channels, there is no channel {channel}")
        activation = self._card.output.activation
        if activation == "softmax":
            if self._hard:
                return np.asarray(classes.argmax(0) == channel, np.float32)
            powers = np.exp(classes - classes.max(0))
            return np.asarray(powers[channel] / powers.sum(0), np.float32)
        person = np.asarray(classes[channel], np.float32)
        if activation == "sigmoid":
            person = (1 / (1 + np.exp(-np.clip(person, -60, 60)))).astype(np.float32)
        return np.asarray(person >= 0.5, np.float32) if self._hard else person

    def _input_size(self, frame: Size) -> tuple[int, int]:
        """Height and width: the network's own, or the frame's shape with the card's short side."""
        if self._fixed is not None:
            return self._fixed
        grid = self._card.input.multiple_of
        scale = self._short_side / min(frame.width, frame.height)
        height, width = (max(grid, round(side * scale / grid) * grid) for side in (frame.height, frame.width))
        return height, width

    def _fixed_size(self) -> tuple[int, int] | None:
        shape = self._image.shape
        channels_last = self._card.input.layout == "NHWC"
        if len(shape) != 4:
            raise self._unfit(f"the input {self._input} has the shape {shape}, not batch, height, width and channels")
        sides = shape[1:3] if channels_last else shape[2:4]
        channels = shape[3] if channels_last else shape[1]
        if isinstance(channels, int) and channels != 3:
            raise self._unfit(f"the input {self._input} {shape} has no 3 channels in {self._card.input.layout}")
        own = (sides[0], sides[1]) if isinstance(sides[0], int) and isinstance(sides[1], int) else None
        asked = self._card.input.size
        if own is not None and asked is not None and asked != own:
            raise self._unfit(f"its input is {own[0]}x{own[1]} (height x width), not {asked[0]}x{asked[1]}")
        return own or asked

    def _type(self, item: NodeArg) -> type[Any]:
        if item.type not in _TYPES:
            raise self._unfit(f"the input {item.name} takes {item.type}, which cannot be given")
        return _TYPES[item.type]

    def _known(self, name: str, names: Any, kind: str) -> str:
        if name not in names:
            raise self._unfit(f"there is no {kind} {name!r}, only {', '.join(names)}")
        return name

    def _unfit(self, why: str) -> ModelError:
        return ModelError(f"{self._path}: the card {self._card.name!r} does not fit this network: {why}")


def _normalisation(card: CardInput) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(scale, offset) per channel of pixel * scale + offset, in the order in which the network sees the channels."""
    if card.mean is not None and card.std is not None:
        mean, std = np.array(card.mean, np.float64), np.array(card.std, np.float64)
        return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
    low, high = card.range or (0.0, 1.0)
    return np.full(3, (high - low) / 255, np.float32), np.full(3, low, np.float32)


def _providers(path: Path, device: str) -> list[str]:
    import onnxruntime

    there = [name for name in _PROVIDERS if name in onnxruntime.get_available_providers()]
    if device == "cuda" and "CUDAExecutionProvider" not in there:
        raise ModelError(f"onnx:{path}: this onnxruntime has no CUDA", mend="pip install onnxruntime-gpu")
    return ["CPUExecutionProvider"] if device == "cpu" else there


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]

"""The short texts that name a source, a sink, a background or a model: the same in the config file, on the command
line and in the control API. Parsing is pure; nothing is opened here. A text that means nothing raises ValueError with
one line that says what would be understood."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import parse_qs

from vbgcam.core.options import WEAKEST_BLUR

TORCHVISION_MODELS: Final = (
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
)
PORTRAIT_MODELS: Final = ("selfie", "meet", "rvm", "pphumanseg")
"""ONNX networks that find people and nothing else, which the program can download (see `segment.catalogue`)."""
DEVICES: Final = ("auto", "cpu", "cuda", "gpu", "npu", "mps", "tensorrt", "directml", "coreml", "migraphx")
"""Where a network may run: NVIDIA's or AMD's GPU, Intel's GPU, its NPU, Apple's GPU; the rest by onnxruntime."""
GREEN: Final = (0x00, 0xB1, 0x40)
"""The usual chroma key, as (red, green, blue)."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """`camera:0`, `camera:/dev/v4l/by-id/...`, `camera:NAME`, `file:CLIP[?loop=1&pace=source|max]`,
    `demo[?pace=max]`.

    `pace`: as fast as the clip was recorded, or as fast as it can be read."""

    kind: Literal["camera", "file", "demo"]
    target: str = ""
    loop: bool = False
    pace: Literal["source", "max"] = "source"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError where the text means nothing."""
        kind, _, target = text.partition(":")
        if text in ("demo", "demo?pace=max"):
            return cls("demo", pace="source" if text == "demo" else "max")
        if kind == "camera":
            return cls("camera", target or "0")
        if kind == "file" and target:
            path, query, options = target.rpartition("?")
            if not query or "=" not in options:
                return cls("file", target)
            fields = {name: values[-1] for name, values in parse_qs(options, keep_blank_values=True).items()}
            loop, pace = fields.pop("loop", "0"), fields.pop("pace", "source")
            if fields:
                raise ValueError(f"source {text!r}: {_unknown(next(iter(fields)), ('loop', 'pace'))}")
            if loop not in ("0", "1"):
                raise ValueError(f"source {text!r}: loop is 0 or 1, not {loop!r}")
            if pace not in ("source", "max"):
                raise ValueError(f"source {text!r}: pace is source or max, not {pace!r}")
            return cls("file", path, loop == "1", "max" if pace == "max" else "source")
        hint = nearest(kind, ("camera", "file", "demo"))
        raise ValueError(f"source {text!r} is none of camera:0, camera:PATH, camera:NAME, file:CLIP, demo{hint}")


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """`virtualcam[:NAME]`, `pipewire[:NAME]`, `both[:NAME]`, `file:OUT.mp4|.mkv`, `null`, `auto`."""

    kind: Literal["virtualcam", "pipewire", "both", "file", "null", "auto"]
    target: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError where the text means nothing."""
        kind: Any
        kind, _, target = text.partition(":")
        if kind == "file" and Path(target).suffix.lower() not in (".mp4", ".mkv"):
            raise ValueError(f"sink {text!r}: a file ends in .mp4 or .mkv")
        if kind in ("virtualcam", "pipewire", "both", "file") or text in ("null", "auto"):
            return cls(kind, target)
        hint = nearest(kind, ("virtualcam", "pipewire", "both", "file", "null", "auto"))
        known = "virtualcam[:NAME], pipewire[:NAME], both[:NAME], file:OUT.mp4, file:OUT.mkv, null, auto"
        raise ValueError(f"sink {text!r} is none of {known}{hint}")


@dataclass(frozen=True, slots=True)
class BackgroundSpec:
    """A path (image, GIF, video), `#rrggbb`, `blur` (the weakest there is), `blur:0.8`, `none`."""

    kind: Literal["file", "color", "blur", "none"]
    path: Path = Path()
    color: tuple[int, int, int] = (0, 0, 0)
    strength: float = WEAKEST_BLUR

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError where the text means nothing."""
        if text == "none":
            return cls("none")
        if text.startswith("#"):
            return cls("color", color=_color(text, f"background {text!r}"))
        kind, colon, strength = text.partition(":")
        if kind == "blur":
            return cls("blur", strength=_strength(strength) if colon else WEAKEST_BLUR)
        if not text.strip():
            raise ValueError("background '' is none of a picture's or film's path, #rrggbb, blur, blur:0.8, none")
        return cls("file", path=Path(text).expanduser())

    def __str__(self) -> str:
        if self.kind == "color":
            return _hex(self.color)
        if self.kind == "blur":
            return f"blur:{self.strength:g}"
        return str(self.path) if self.kind == "file" else "none"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """`auto`, a name of the catalogue (`selfie`, `fcn_resnet101`, ...), `chroma[:#rrggbb]`, `plate[:IMAGE]`,
    `onnx:FILE`, `truth:FILE`."""

    kind: Literal["auto", "torchvision", "portrait", "chroma", "plate", "onnx", "truth"]
    name: str = ""
    path: Path | None = None
    color: tuple[int, int, int] = GREEN

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError where the text means nothing."""
        kind: Any
        kind, _, target = text.partition(":")
        if text == "auto":
            return cls("auto")
        if text in TORCHVISION_MODELS:
            return cls("torchvision", text)
        if text in PORTRAIT_MODELS:
            return cls("portrait", text)
        if kind == "chroma":
            return cls("chroma", color=_color(target, f"model {text!r}") if target else GREEN)
        if kind == "plate":
            return cls("plate", path=Path(target).expanduser() if target else None)
        if kind in ("onnx", "truth"):
            if not target:
                raise ValueError(f"model {text!r} names no file: {kind}:FILE")
            return cls(kind, path=Path(target).expanduser())
        known = ("auto", *PORTRAIT_MODELS, *TORCHVISION_MODELS, "chroma", "plate", "onnx:FILE")
        raise ValueError(f"model {_unknown(text, known)}")

    def __str__(self) -> str:
        if self.name:
            return self.name
        if self.kind == "chroma":
            return f"chroma:{_hex(self.color)}"
        return f"{self.kind}:{self.path}" if self.path is not None else self.kind


def device_name(text: str) -> str:
    """The device itself: one of `DEVICES`, of `cuda` and `gpu` with a number where there are several, `cuda:1`. Raises
    ValueError where the text means nothing."""
    kind, colon, number = text.partition(":")
    if kind not in DEVICES:
        raise ValueError(f"device {_unknown(text, DEVICES)}")
    if colon and not (kind in ("cuda", "gpu") and number.isdecimal() and len(number) <= 2):
        raise ValueError(f"device {text!r}: cuda and gpu may have a number, as in cuda:1")
    return text


def nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    """`; did you mean 'x'?` for a name that is near one of the known ones, else an empty text."""
    begins = [item for item in known if name and item.startswith(name)]
    close = begins if len(begins) == 1 else get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    where = f"background {f'blur:{text}'!r}"
    if value < WEAKEST_BLUR:
        raise ValueError(f"{where} leaves writing in your room readable; use at least blur:{WEAKEST_BLUR}")
    if not value <= 1:
        raise ValueError(f"{where}: blur goes from {WEAKEST_BLUR} to 1, as in blur:0.8")
    return value


def _unknown(name: str, known: tuple[str, ...]) -> str:
    return f"{name!r} is none of {', '.join(known)}{nearest(name, known)}"


def _color(text: str, where: str) -> tuple[int, int, int]:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(f"{where}: a colour is written #rrggbb, as in #00b140")
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)

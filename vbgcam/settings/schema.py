"""Settings: their names, defaults, meaning and limits.

`config.example.toml` is made from this file (`vbgcam config example`); a test holds the two equal.
"""

import json
import textwrap
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator
from pydantic.fields import FieldInfo

from vbgcam.core.frames import Size
from vbgcam.core.options import WEAKEST_BLUR, Preset, Switch
from vbgcam.core.specs import BackgroundSpec, ModelSpec, SinkSpec, SourceSpec, device_name
from vbgcam.pixels.convert import Fit


def _spec(parse: Any) -> AfterValidator:
    def check(text: str) -> str:
        if "\0" in text:
            raise ValueError(f"{text!r}: a zero byte stands in no name")
        try:
            parse(text)
        except RuntimeError as exc:  # of a "~somebody" who is not known here
            raise ValueError(f"{text!r}: {exc}") from exc
        return text

    return AfterValidator(check)


def _size(text: str) -> str:
    size = Size.parse(text)
    if size.width % 2 or size.height % 2 or not (16 <= size.width <= 7680 and 16 <= size.height <= 4320):
        raise ValueError(f"{text!r}: both sides are even, from 16x16 to 7680x4320")
    return text


def _input(value: object) -> object:
    if value == "auto" or (type(value) is int and 32 <= value <= 4096):
        return value
    raise ValueError(f"{value!r} is neither auto nor a whole number of pixels from 32 to 4096")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CameraSettings(_Section):
    """What you are filmed with."""

    source: Annotated[str, _spec(SourceSpec.parse)] = Field(
        default="camera:0",
        description="camera:0, camera:/dev/v4l/by-id/..., camera:NAME (see `vbgcam devices`), "
        "file:CLIP[?loop=1&pace=source|max], demo",
    )
    size: Annotated[str, AfterValidator(_size)] = Field(
        default="1280x720", description="asked of the camera; the nearest size that it has is taken"
    )
    fps: float = Field(default=30.0, gt=0, le=240, description="frames a second asked of the camera")
    format: Literal["auto", "mjpg", "yuyv"] = Field(
        default="auto", description="auto takes raw pictures where the camera is fast enough with them, else MJPG"
    )


class ModelSettings(_Section):
    """What tells the person from the room."""

    name: Annotated[str, _spec(ModelSpec.parse)] = Field(
        default="auto",
        description="auto (fcn_resnet101 on a CUDA GPU, else selfie), a name of `vbgcam models list`, "
        "chroma[:#00b140], plate[:IMAGE], onnx:FILE",
    )
    device: Annotated[str, AfterValidator(device_name)] = Field(
        default="auto",
        description="where the network runs: auto (an NVIDIA GPU, else the CPU), cpu, cuda[:N], gpu[:N] and npu "
        "(Intel's), mps (Apple's), and for ONNX networks tensorrt, directml, coreml, migraphx; `vbgcam devices` lists "
        "what there is",
    )
    size: Annotated[Literal["auto"] | int, PlainValidator(_input)] = Field(
        default="auto",
        description="the network's input, its short side in pixels, where it may be of any size; auto is the largest "
        "that this machine can do in time for a live picture, and the preset's 520 for images and films",
    )
    hard: bool = Field(default=False, description="the classic label mask, person or not, in place of a soft alpha")
    threads: int = Field(default=0, ge=0, le=256, description="CPU threads of the network; 0 chooses")
    unload_after_s: float = Field(
        default=600.0,
        ge=0,
        description="seconds after which the network's memory is given back while nobody reads the virtual camera; 0 "
        "never",
    )
    mirror: str = Field(
        default="",
        description="download all networks below this URL instead of from their own servers; over plain http only what "
        "has a whole hash",
    )
    sha256: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="the SHA-256 that the network's file must have, where it is not the published one",
    )


class MaskSettings(_Section):
    """What makes the mask good, and how it is used."""

    preset: Preset = Field(
        default="auto",
        description="auto: balanced, and less where this machine would drop frames; none: what the network gives; "
        "fast: the network looks at you alone, and where nothing moves the mask holds still (0.5 ms a frame at "
        "1280x720 on one core, 0.9 at 1920x1080); balanced: all of the steps below (2.0 and 2.6; where masks come late "
        "2.9 and 3.6); fine: all of them, late masks more thoroughly (3.7 and 4.4)",
    )
    rest: Switch = Field(
        default="preset",
        description="the network looks where something moved, and rests while little does: a quarter of the looks for "
        "somebody who sits and talks",
    )
    crop: Switch = Field(default="preset", description="the network sees the part of the picture that you are in")
    memory: Switch = Field(
        default="preset",
        description="the room behind you is learned, in memory only, and each picture compared with it: sharp, current "
        "masks of a coarse or slow network, for a camera that stands still",
    )
    motion: Switch = Field(
        default="preset", description="a mask that is older than its picture is moved along with you"
    )
    time: Switch = Field(default="preset", description="where nothing moves, the mask holds still")
    edges: Switch = Field(
        default="preset", description="the outline follows your colours; specks in the room and holes in you go"
    )
    colours: Switch = Field(
        default="preset",
        description="the colours of the room behind you are taken out of your outline, and a green screen's light out "
        "of all of you",
    )

    max_age_ms: float = Field(
        default=1500.0,
        gt=0,
        le=10_000,
        description="a mask older than this is not trusted: the cover goes out in its place",
    )
    pairing: Literal["auto", "exact", "newest"] = Field(
        default="auto",
        description="exact: each frame waits for its own mask, but never until the next frame is due; newest: it goes "
        "out at once with the newest mask; auto: exact where the network is fast enough",
    )


class BackgroundSettings(_Section):
    """What stands behind you."""

    show: Annotated[str, _spec(BackgroundSpec.parse)] = Field(
        default="#3b4a57",
        description=f"a path (image, GIF, video), #rrggbb, blur, blur:0.8 (from {WEAKEST_BLUR}, as blur alone, to 1), "
        "or none: your room as it is",
    )
    fit: Fit = Field(
        default="cover", description="cover fills the picture and cuts, contain shows all with bars, stretch distorts"
    )
    light_wrap: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how much of the background's light falls on your outline, 0 to 1, as if you stood there",
    )


class OutputSettings(_Section):
    """Where the picture goes."""

    sink: Annotated[str, _spec(SinkSpec.parse)] = Field(
        default="auto",
        description="auto (the virtual camera \"VBG Camera\": v4l2loopback's where there is one, else PipeWire's), "
        "virtualcam[:NAME], pipewire[:NAME], both[:NAME] (these two at once), file:OUT.mp4, file:OUT.mkv, null",
    )
    size: Annotated[str, AfterValidator(lambda text: text if text == "auto" else _size(text))] = Field(
        default="auto", description="auto is the source's size; it stays the same for as long as the program runs"
    )
    mirror: bool = Field(default=False, description="show yourself as in a mirror; the background is not turned")
    on_demand: bool = Field(
        default=True,
        description="the camera is on only while some program reads the virtual one, where that can be told (Linux); "
        "until then the background alone is there",
    )


class Settings(_Section):
    """All of them; the sections of the config file."""

    camera: CameraSettings = CameraSettings()
    model: ModelSettings = ModelSettings()
    mask: MaskSettings = MaskSettings()
    background: BackgroundSettings = BackgroundSettings()
    output: OutputSettings = OutputSettings()


_SECTIONS: Final[dict[str, type[_Section]]] = {name: type(section) for name, section in Settings()}


def default_path() -> Path:
    """The user's config file; it need not exist."""
    return Path(platformdirs.user_config_dir("vbgcam", appauthor=False)) / "config.toml"


def data_folder() -> Path:
    """Where plates and added models are kept."""
    return Path(platformdirs.user_data_dir("vbgcam", appauthor=False))


def example() -> str:
    """The text of config.example.toml: every setting, explained, at its default."""
    lines = [
        "# Settings of vbgcam, each at its default. `vbgcam config path` says where your own file belongs;",
        "# put into it only what you want otherwise. Options on the command line win over the file.",
    ]
    for section, model in _SECTIONS.items():
        lines += ["", f"# {model.__doc__}", f"[{section}]"]
        for key, field in model.model_fields.items():
            wrapped = textwrap.wrap(field.description or "", 116, break_long_words=False, break_on_hyphens=False)
            lines += [f"# {line}" for line in wrapped]
            lines.append(f"{key} = {toml_value(field.default)}")
    return "\n".join(lines) + "\n"


def describe(settings: Settings) -> str:
    """The settings in force, as TOML."""
    lines: list[str] = []
    for section in _SECTIONS:
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in getattr(settings, section)]
    return "\n".join(lines[1:]) + "\n"


def known_settings() -> dict[str, FieldInfo]:
    """Every setting by "section.key"."""
    return {
        f"{section}.{key}": field for section, model in _SECTIONS.items() for key, field in model.model_fields.items()
    }


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"
    return str(value)

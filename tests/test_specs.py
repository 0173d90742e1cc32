"""specs: the texts that name sources, sinks, backgrounds and models."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.specs import BackgroundSpec, ModelSpec, SinkSpec, SourceSpec

PARSERS = (SourceSpec, SinkSpec, BackgroundSpec, ModelSpec)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera:0", SourceSpec("camera", "0")),
        ("camera", SourceSpec("camera", "0")),
        ("camera:/dev/v4l/by-id/usb-a:b-video-index0", SourceSpec("camera", "/dev/v4l/by-id/usb-a:b-video-index0")),
        ("camera:HD Pro Webcam", SourceSpec("camera", "HD Pro Webcam")),
        ("file:a.mp4", SourceSpec("file", "a.mp4")),
        ("file:a.mp4?loop=1", SourceSpec("file", "a.mp4", loop=True)),
        ("file:a.mp4?loop=1&pace=max", SourceSpec("file", "a.mp4", loop=True, pace="max")),
        ("file:what?.mp4", SourceSpec("file", "what?.mp4")),
        ("file:what?.mp4?pace=source", SourceSpec("file", "what?.mp4")),
        ("demo", SourceSpec("demo")),
    ],
)
def test_sources(text: str, expected: SourceSpec) -> None:
    assert SourceSpec.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "none of"),
        ("webcam", "none of"),
        ("camra:0", "did you mean 'camera'"),
        ("file:", "none of"),
        ("file:a?pace=fast", "pace is source or max"),
        ("file:a?loop=yes", "loop is 0 or 1"),
        ("file:a?lop=1", "did you mean 'loop'"),
    ],
)
def test_a_wrong_source_says_what_would_do(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="source") as caught:
        SourceSpec.parse(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("virtualcam", SinkSpec("virtualcam")),
        ("virtualcam:VBG Camera", SinkSpec("virtualcam", "VBG Camera")),
        ("pipewire", SinkSpec("pipewire")),
        ("pipewire:Studio: left", SinkSpec("pipewire", "Studio: left")),
        ("both:Studio", SinkSpec("both", "Studio")),
        ("file:out.MP4", SinkSpec("file", "out.MP4")),
        ("file:a:b.mkv", SinkSpec("file", "a:b.mkv")),
        ("null", SinkSpec("null")),
        ("auto", SinkSpec("auto")),
    ],
)
def test_sinks(text: str, expected: SinkSpec) -> None:
    assert SinkSpec.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"), [("file:a.avi", ".mp4 or .mkv"), ("virtualcan", "did you mean 'virtualcam'")]
)
def test_a_wrong_sink_says_what_would_do(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="sink") as caught:
        SinkSpec.parse(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#00B140", BackgroundSpec("color", color=(0, 177, 64))),
        ("blur", BackgroundSpec("blur", strength=0.5)),
        ("blur:0.7", BackgroundSpec("blur", strength=0.7)),
        ("none", BackgroundSpec("none")),
        ("none.jpg", BackgroundSpec("file", path=Path("none.jpg"))),
        ("~/beach.jpg", BackgroundSpec("file", path=Path("~/beach.jpg").expanduser())),
    ],
)
def test_backgrounds(text: str, expected: BackgroundSpec) -> None:
    assert BackgroundSpec.parse(text) == expected


@pytest.mark.parametrize("text", ["", " ", "#12", "#gggggg", "blur:", "blur:0", "blur:1.1", "blur:nan", "blur:x"])
def test_a_wrong_background_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="background"):
        BackgroundSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", ModelSpec("auto")),
        ("fcn_resnet101", ModelSpec("torchvision", "fcn_resnet101")),
        ("chroma", ModelSpec("chroma")),
        ("chroma:#0000ff", ModelSpec("chroma", color=(0, 0, 255))),
        ("plate", ModelSpec("plate")),
        ("plate:room.png", ModelSpec("plate", path=Path("room.png"))),
        ("onnx:C:\\nets\\a.onnx", ModelSpec("onnx", path=Path("C:\\nets\\a.onnx"))),
    ],
)
def test_models(text: str, expected: ModelSpec) -> None:
    assert ModelSpec.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("onnx:", "names no file"),
        ("onnx", "names no file"),
        ("chroma:green", "#rrggbb"),
        ("fcn_resnet100", "fcn_resnet101"),
    ],
)
def test_a_wrong_model_says_what_would_do(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="model") as caught:
        ModelSpec.parse(text)
    assert hint in str(caught.value)


def refusal(parser: type[SourceSpec | SinkSpec | BackgroundSpec | ModelSpec], text: str) -> str | None:
    """What the parser says against the text; None where it understands it and reads back what it writes."""
    try:
        spec = parser.parse(text)
    except ValueError as exc:
        return str(exc)
    if isinstance(spec, SourceSpec | SinkSpec):  # elsewhere pathlib writes a path in its own way
        assert parser.parse(str(spec)) == spec
    return None


heads = st.sampled_from(
    ["", "camera", "file", "chroma", "plate", "onnx", "blur", "virtualcam", "#", "camera:", "file:"]
)


@given(heads, st.text(max_size=40))
def test_any_text_is_a_spec_or_is_refused_in_one_line(head: str, tail: str) -> None:
    for parser in PARSERS:
        said = refusal(parser, head + tail)
        assert said is None or len(said.replace(repr(head + tail), "").splitlines()) == 1

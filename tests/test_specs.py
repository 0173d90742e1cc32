"""specs: the texts that name sources, sinks, backgrounds and models."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.options import WEAKEST_BLUR
from vbgcam.core.specs import BackgroundSpec, ModelSpec, SinkSpec, SourceSpec

Spec = SourceSpec | SinkSpec | BackgroundSpec | ModelSpec


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
        ("demo?pace=max", SourceSpec("demo", pace="max")),
        ("virtualcam", SinkSpec("virtualcam")),
        ("virtualcam:VBG Camera", SinkSpec("virtualcam", "VBG Camera")),
        ("pipewire", SinkSpec("pipewire")),
        ("pipewire:Studio: left", SinkSpec("pipewire", "Studio: left")),
        ("both:Studio", SinkSpec("both", "Studio")),
        ("file:out.MP4", SinkSpec("file", "out.MP4")),
        ("file:a:b.mkv", SinkSpec("file", "a:b.mkv")),
        ("null", SinkSpec("null")),
        ("auto", SinkSpec("auto")),
        ("#00B140", BackgroundSpec("color", color=(0, 177, 64))),
        ("blur", BackgroundSpec("blur", strength=WEAKEST_BLUR)),
        (f"blur:{WEAKEST_BLUR}", BackgroundSpec("blur", strength=WEAKEST_BLUR)),
        ("blur:0.7", BackgroundSpec("blur", strength=0.7)),
        ("none", BackgroundSpec("none")),
        ("none.jpg", BackgroundSpec("file", path=Path("none.jpg"))),
        ("~/beach.jpg", BackgroundSpec("file", path=Path("~/beach.jpg").expanduser())),
        ("auto", ModelSpec("auto")),
        ("fcn_resnet101", ModelSpec("torchvision", "fcn_resnet101")),
        ("selfie", ModelSpec("portrait", "selfie")),
        ("chroma", ModelSpec("chroma")),
        ("chroma:#0000ff", ModelSpec("chroma", color=(0, 0, 255))),
        ("plate", ModelSpec("plate")),
        ("plate:room.png", ModelSpec("plate", path=Path("room.png"))),
        ("onnx:C:\\nets\\a.onnx", ModelSpec("onnx", path=Path("C:\\nets\\a.onnx"))),
    ],
)
def test_what_a_text_means(text: str, expected: Spec) -> None:
    assert type(expected).parse(text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (SourceSpec, "", "none of"),
        (SourceSpec, "webcam", "none of"),
        (SourceSpec, "camra:0", "did you mean 'camera'"),
        (SourceSpec, "file:", "none of"),
        (SourceSpec, "file:a?pace=fast", "pace is source or max"),
        (SourceSpec, "file:a?loop=yes", "loop is 0 or 1"),
        (SourceSpec, "file:a?lop=1", "did you mean 'loop'"),
        (SinkSpec, "file:a.avi", ".mp4 or .mkv"),
        (SinkSpec, "virtualcan", "did you mean 'virtualcam'"),
        *((BackgroundSpec, text, "none of") for text in ("", " ")),
        *((BackgroundSpec, text, "#rrggbb") for text in ("#12", "#gggggg")),
        *((BackgroundSpec, f"blur:{text}", "from 0.7 to 1") for text in ("", "1.1", "nan", "x")),
        *((BackgroundSpec, f"blur:{text}", "use at least blur:0.7") for text in ("-1", "0", "0.0001", "0.69", "5e-1")),
        (ModelSpec, "onnx:", "names no file"),
        (ModelSpec, "onnx", "names no file"),
        (ModelSpec, "chroma:green", "#rrggbb"),
        (ModelSpec, "fcn_resnet100", "fcn_resnet101"),
        (ModelSpec, "selfi", "did you mean 'selfie'"),
    ],
)
def test_a_wrong_text_says_what_would_do(kind: type[Spec], text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=kind.__name__.removesuffix("Spec").lower()) as caught:
        kind.parse(text)
    assert hint in str(caught.value)


def refusal(parser: type[Spec], text: str) -> str | None:
    """What the parser says against the text; None where it understands it."""
    try:
        parser.parse(text)
    except ValueError as exc:
        return str(exc)
    return None


heads = st.sampled_from(
    ["", "camera", "file", "chroma", "plate", "onnx", "blur", "virtualcam", "#", "camera:", "file:"]
)


@given(heads, st.text(max_size=40))
def test_any_text_is_a_spec_or_is_refused_in_one_line(head: str, tail: str) -> None:
    for parser in (SourceSpec, SinkSpec, BackgroundSpec, ModelSpec):
        said = refusal(parser, head + tail)
        assert said is None or len(said.replace(repr(head + tail), "").splitlines()) == 1

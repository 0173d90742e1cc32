"""The fixtures of the tests inside the guest. What a test changes is as it was before, or the guest ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.networks import left_half
from tests.v4l2.guest.support.kernel import CAMERA, load_loopback, vivid_nodes
from tests.v4l2.guest.support.usb import UsbWebcam, plugged_in


@pytest.fixture(autouse=True)
def _webcam_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where vivid has not got its number back, this guest is of no use to the tests that follow: the host boots another
    one for them."""
    before = vivid_nodes()
    yield
    if vivid_nodes() != before:
        request.session.shouldstop = f"the webcam is no longer at {before}"


@pytest.fixture
def camera() -> Path:
    """/dev/video10, "VBG Camera", as if the machine had just started."""
    load_loopback("video_nr=10", "exclusive_caps=1", "card_label=VBG Camera")
    return CAMERA


@pytest.fixture
def usb_webcam() -> Iterator[UsbWebcam]:
    with plugged_in() as webcam:
        yield webcam


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The left half of the picture is the person."""
    return left_half(tmp_path / "left.onnx")

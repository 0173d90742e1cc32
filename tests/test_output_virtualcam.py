"""virtualcam: the virtual camera of Windows and macOS, and what all systems share. Linux's is in `test_output_loopback`
and, on the real kernel module, in `tests/v4l2`."""

import pytest

from tests.support.frames import plain
from vbgcam.core.errors import OutputError
from vbgcam.core.frames import Size
from vbgcam.core.specs import SinkSpec
from vbgcam.output import open_output, virtualcam
from vbgcam.output.base import VirtualCameraInfo
from vbgcam.output.null import NullOutput
from vbgcam.output.virtualcam import PlainDevice, open_device, virtual_cameras

SIZE = Size(64, 48)
FRAME = plain(SIZE)

NO_UNITY = "'unitycapture' backend: No camera registered with this name."
NO_OBS = "'obs' backend: OBS Virtual Camera device not found! Did you install OBS?"


class Backends:
    """A system where each of pyvirtualcam's backends works or fails for a reason."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.attempts: list[tuple[str, str | None]] = []

    def open(self, backend: str, device: str | None, size: Size, fps: float) -> None:
        self.attempts.append((backend, device))
        if self.reasons[backend]:
            raise RuntimeError(self.reasons[backend])


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Backends:
    backends = Backends()
    monkeypatch.setattr(virtualcam, "PlainDevice", backends.open)
    return backends


@pytest.mark.parametrize(
    ("system", "no_unity", "tried"),
    [
        ("win32", "", [("unitycapture", "VBG Camera")]),
        ("win32", NO_UNITY, [("unitycapture", "VBG Camera"), ("obs", None)]),
        ("darwin", NO_UNITY, [("obs", None)]),
    ],
)
def test_windows_prefers_the_camera_that_bears_our_name_and_macos_has_only_obs(
    backends: Backends, system: str, no_unity: str, tried: list[tuple[str, str | None]]
) -> None:
    backends.reasons = {"unitycapture": no_unity, "obs": ""}
    open_device("", SIZE, 30.0, system)
    assert backends.attempts == tried


def test_a_camera_that_was_named_is_the_only_one_tried(backends: Backends) -> None:
    backends.reasons = {"unitycapture": NO_UNITY, "obs": NO_OBS}
    with pytest.raises(OutputError, match="no virtual camera named 'Studio' could be opened"):
        open_device("Studio", SIZE, 30.0, "win32")
    assert backends.attempts == [("unitycapture", "Studio"), ("obs", "Studio")]


END_IT = "end the program that feeds it (OBS, another vbgcam) and start again"
ONCE = ", then start its virtual camera once and stop it again"


@pytest.mark.parametrize(
    ("system", "reason", "fix"),
    [
        ("win32", NO_OBS, f"winget install OBSProject.OBSStudio{ONCE}"),
        ("darwin", NO_OBS, f"brew install --cask obs{ONCE}"),
        ("win32", "'obs' backend: virtual camera output could not be started", END_IT),
        ("darwin", "'obs' backend: Multiple cameras are not supported by this backend.", END_IT),
    ],
)
def test_why_there_is_no_camera_is_one_line_with_the_fix(
    backends: Backends, system: str, reason: str, fix: str
) -> None:
    backends.reasons = {"unitycapture": reason + "\n", "obs": reason}
    with pytest.raises(OutputError) as caught:
        open_device("", SIZE, 30.0, system)
    assert str(caught.value) == f"no virtual camera could be opened ({reason}); {fix}"


def test_windows_lists_the_cameras_that_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = {
        r"CLSID\{5C2CD55C-92AD-4999-8666-912BD3E70010}": "Unity Video Capture\r",
        r"CLSID\{5C2CD55C-92AD-4999-8666-912BD3E70012}": "VBG Camera",
        r"CLSID\{5C2CD55C-92AD-4999-8666-912BD3E70013}": "",
        r"CLSID\{A3FCE0F5-3493-419F-958A-ABA1250EC20B}": "",
    }
    monkeypatch.setattr(virtualcam, "_registry", registry.get)
    assert virtual_cameras("win32") == [
        VirtualCameraInfo("Unity Video Capture", "", "UnityCapture", "unknown"),
        VirtualCameraInfo("VBG Camera", "", "UnityCapture", "unknown"),
        VirtualCameraInfo("OBS Virtual Camera", "", "OBS", "unknown"),
    ]
    registry.clear()
    assert virtual_cameras("win32") == []
    assert virtual_cameras("darwin") == []  # which has no way to ask


def test_a_plain_device_translates_what_a_backend_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        device = "OBS Virtual Camera"

        def __init__(self, *_args: object, **_options: object) -> None:
            pass

        def send(self, _frame: object) -> None:
            raise RuntimeError("Stream does not exist.")

        def close(self) -> None:
            pass

    monkeypatch.setattr("pyvirtualcam.Camera", Broken)
    device = PlainDevice("obs", None, SIZE, 30.0)
    with pytest.raises(OutputError, match=r"^the virtual camera OBS Virtual Camera takes no more frames: Stream does"):
        device.send(FRAME.planes, 0.0)
    device.close()


def test_a_virtual_camera_has_its_name_before_it_opens_and_may_be_closed_at_any_time() -> None:
    assert open_output(SinkSpec("virtualcam"), SIZE, 30.0).name == "VBG Camera"
    output = open_output(SinkSpec("virtualcam", "Studio"), SIZE, 30.0)
    assert output.name == "Studio"
    output.close()
    output.close()
    with pytest.raises(OutputError, match="Studio is not open"):
        output.send(FRAME, 0.0)


def test_the_null_output_takes_anything_at_any_time() -> None:
    output = NullOutput()
    output.close()
    output.open()
    output.send(FRAME, 1.0)
    output.close()
    output.close()
    assert output.name == "nowhere"

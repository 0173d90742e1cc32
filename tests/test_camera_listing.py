"""The list of cameras: from a made-up /sys on Linux, from a stand-in for cv2-enumerate-cameras elsewhere."""

import errno
import json
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from vbgcam.camera import listing
from vbgcam.camera.base import CameraInfo, Mode
from vbgcam.camera.listing import as_json, camera_at, cameras, describe, enumerated, offers
from vbgcam.core.errors import CameraError
from vbgcam.core.frames import Size

HD, VGA = Size(1280, 720), Size(640, 480)
MODES = (Mode("MJPG", HD, (30.0, 15.0)), Mode("YUYV", HD, (29.97, 10.0)), Mode("YUYV", VGA, ()))

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Video4Linux is Linux's")


@dataclass
class Machine:
    """A made-up machine: its sysfs, and what opening a node gives: a Capability's captures, modes, or an errno."""

    root: Path
    captures: dict[str, bool] = field(default_factory=dict)
    modes: dict[str, tuple[Mode, ...]] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    @property
    def links(self) -> Path:
        return self.root / "v4l"

    @property
    def sysfs(self) -> Path:
        return self.root / "class"

    def node(self, number: int, place: str, label: str, index: int = 0) -> Path:
        """A node below `place` of /sys/devices."""
        device = self.root / "devices" / place
        folder = device / "video4linux" / f"video{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(label + "\n")
        (folder / "index").write_text(f"{index}\n")
        bus = self.root / "bus" / Path(place).parts[0]
        bus.mkdir(parents=True, exist_ok=True)
        if not (device / "subsystem").exists():
            (device / "subsystem").symlink_to(bus)
        (folder / "device").symlink_to(device)
        self.sysfs.mkdir(exist_ok=True)
        (self.sysfs / f"video{number}").symlink_to(folder)
        return device

    def usb(self, number: int, port: str, label: str, index: int = 0, **attributes: str) -> None:
        device = self.node(number, f"usb/{port}/{port}:1.0", label, index).parent
        for name, value in {"idVendor": "0525", "speed": "480", **attributes}.items():
            (device / name).write_text(value + "\n")

    @contextmanager
    def open(self, path: Path) -> Iterator[str]:
        self.opened.append(path.name)
        if path.name in self.refuses:
            raise OSError(self.refuses[path.name], "refused")
        yield path.name


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    from vbgcam.camera import v4l2_modes
    from vbgcam.system import v4l2

    machine = Machine(tmp_path)
    nodes = v4l2.nodes
    monkeypatch.setattr(v4l2, "nodes", lambda: nodes(machine.sysfs))
    monkeypatch.setattr(v4l2, "SYSFS", machine.sysfs)
    monkeypatch.setattr(listing, "LINKS", machine.links)
    monkeypatch.setattr(v4l2, "opened", machine.open)
    monkeypatch.setattr(
        v4l2,
        "capability",
        lambda fd: SimpleNamespace(driver="uvcvideo", captures=machine.captures.get(fd, True)),
    )
    monkeypatch.setattr(v4l2_modes, "modes", lambda fd: iter(machine.modes.get(fd, MODES)))
    return machine


@on_linux
def test_a_webcam_is_named_as_udev_would_even_where_udev_does_not_run(machine: Machine) -> None:
    machine.usb(0, "1-2", "Integrated Camera", manufacturer="Chicony, Inc.", product="HD Cam", serial="0001")
    assert cameras() == [
        CameraInfo(
            "Integrated Camera",
            "/dev/video0",
            "usb-Chicony__Inc._HD_Cam_0001-video-index0",
            "uvcvideo",
            MODES,
            bus=480,
        )
    ]


@on_linux
def test_udevs_own_name_comes_first(machine: Machine) -> None:
    machine.usb(0, "1-2", "Cam", product="Cam")
    (machine.links / "by-id").mkdir(parents=True)
    (machine.links / "by-id" / "usb-Real_Name-video-index0").symlink_to("/dev/video0")
    (machine.links / "by-id" / "usb-Other-video-index0").symlink_to("/dev/video4")
    assert cameras()[0].id == "usb-Real_Name-video-index0"


@on_linux
def test_a_camera_that_is_not_usb_is_named_by_its_place(machine: Machine) -> None:
    machine.node(0, "platform/vivid.0", "vivid-000-vid-cap")
    [camera] = cameras()
    assert (camera.id, camera.bus) == ("platform-vivid.0-video-index0", 0)


@on_linux
def test_a_webcams_second_node_is_no_camera(machine: Machine) -> None:
    machine.usb(0, "1-2", "Cam", product="Cam")
    machine.node(1, "usb/1-2/1-2:1.1", "Cam", index=1)
    machine.captures["video1"] = False
    assert [camera.path for camera in cameras()] == ["/dev/video0"]


@on_linux
def test_virtual_cameras_are_not_even_opened_where_none_is_meant(machine: Machine) -> None:
    machine.node(10, "virtual", "VBG Camera")
    machine.usb(2, "1-2", "Cam", product="Cam")
    assert [camera.name for camera in cameras()] == ["Cam"]
    assert machine.opened == ["video2"]


@on_linux
def test_a_camera_that_may_not_be_opened_is_listed_with_its_problem(machine: Machine) -> None:
    machine.usb(0, "1-2", "Cam", product="Cam")
    machine.node(1, "usb/1-2/1-2:1.1", "Cam", index=1)
    machine.refuses = {"video0": errno.EACCES, "video1": errno.EACCES}
    [camera] = cameras()
    assert (camera.path, camera.problem, camera.modes) == ("/dev/video0", errno.EACCES, ())
    assert "  its modes are unknown: Permission denied" in describe(camera)
    assert as_json(camera)["problem"] == "Permission denied"


@on_linux
def test_a_camera_that_is_unplugged_meanwhile_is_not_listed(machine: Machine) -> None:
    machine.usb(0, "1-2", "Cam", product="Cam")
    machine.refuses = {"video0": errno.ENODEV}
    assert cameras() == []


@on_linux
def test_a_camera_is_found_through_a_link_to_its_device(machine: Machine, tmp_path: Path) -> None:
    machine.node(7, "virtual", "OBS")
    link = tmp_path / "link"
    link.symlink_to("/dev/video7")
    found = camera_at(str(link))
    assert found is not None
    assert (found.name, found.id) == ("OBS", "")
    assert camera_at("/dev/video8") is None
    machine.node(8, "virtual", "VBG Camera")
    machine.refuses = {"video8": errno.ENODEV}
    with pytest.raises(CameraError, match=r"/dev/video8 gives no pictures: .* that nobody feeds; no camera is plugged"):
        camera_at("/dev/video8")


CAMERA = CameraInfo("Cam", "/dev/video0", "usb-Cam", "uvcvideo", MODES)


def test_a_camera_is_described_in_lines() -> None:
    assert describe(CAMERA) == [
        '"Cam" (/dev/video0)',
        "  id usb-Cam",
        "  MJPG",
        "    1280x720   30 15",
        "  YUYV",
        "    1280x720   29.97 10",
        "    640x480",
    ]


def test_formats_of_the_same_sizes_and_rates_are_described_once() -> None:
    modes = tuple(Mode(f"F{number:03}", VGA, (30.0,)) for number in range(60))
    lines = describe(CameraInfo("Grabber", "/dev/video0", "", "", modes))
    assert max(map(len, lines)) <= 100
    assert lines.count("    640x480    30") == 1


def test_the_description_for_programs_is_json() -> None:
    assert json.loads(json.dumps(as_json(CAMERA))) == {
        "name": "Cam",
        "path": "/dev/video0",
        "id": "usb-Cam",
        "driver": "uvcvideo",
        "virtual": False,
        "problem": None,
        "modes": [
            {"format": "MJPG", "width": 1280, "height": 720, "fps": [30.0, 15.0]},
            {"format": "YUYV", "width": 1280, "height": 720, "fps": [29.97, 10.0]},
            {"format": "YUYV", "width": 640, "height": 480, "fps": []},
        ],
    }


def test_what_a_camera_offers_fits_into_an_error_message() -> None:
    assert offers(CAMERA) == "MJPG up to 1280x720 at 30, YUYV up to 1280x720 at 29.97"


@dataclass
class Listed:
    """As cv2-enumerate-cameras gives them."""

    index: int
    name: str
    path: str | None
    vid: int | None = None
    pid: int | None = None
    backend: int = 0


def elsewhere(monkeypatch: pytest.MonkeyPatch, system: str, found: dict[int, list[Listed]]) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    package = SimpleNamespace(enumerate_cameras=lambda backend: found.get(backend, []))
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", package)


def test_on_windows_a_camera_of_both_backends_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    usb = r"\\?\usb#vid_046d&pid_0825&mi_00#6&1&0&0000"
    elsewhere(
        monkeypatch,
        "Windows",
        {
            cv2.CAP_MSMF: [Listed(0, "HD Webcam", usb + "#{e5323777-f976-4f5b-9b55-b94699c46e44}")],
            cv2.CAP_DSHOW: [
                Listed(0, "HD Webcam", usb.upper() + "#{65e8773d-8f56-11d0-a3b9-00a0c9223196}"),
                Listed(1, "OBS Virtual Camera", None),
            ],
        },
    )
    [webcam] = cameras()
    obs = enumerated()[1]
    assert webcam.opens == ((0, cv2.CAP_MSMF), (0, cv2.CAP_DSHOW))
    assert webcam.id.startswith(usb)
    assert (obs.opens, str(obs)) == (((1, cv2.CAP_DSHOW),), '"OBS Virtual Camera"')
    assert camera_at(webcam.path.upper()) == webcam


def test_on_macos_cameras_of_one_kind_are_told_apart_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Listed(0, "FaceTime HD Camera", "47B4B64B70674B9CAD2BAE273A71F4B5"),
        Listed(1, "FaceTime HD Camera", "0x14"),
    ]
    elsewhere(monkeypatch, "Darwin", {cv2.CAP_AVFOUNDATION: found})
    assert [camera.opens for camera in cameras()] == [((0, cv2.CAP_AVFOUNDATION),), ((1, cv2.CAP_AVFOUNDATION),)]


def test_without_the_package_that_lists_them_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch, "Darwin", {})
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", None)
    with pytest.raises(CameraError, match="run `pip install cv2-enumerate-cameras`"):
        cameras()

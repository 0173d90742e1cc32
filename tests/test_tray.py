"""tray: the real icon on a real session bus and a real X server, the real server and client; a api that is a fake."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.support.control_fakes import Controlled, controlled, picture, until
from tests.support.desktop import ROOT, Desktop, Finger, Host, skip_without
from vbgcam.core.errors import BackgroundError
from vbgcam.desktop import icons
from vbgcam.desktop.menu import Face
from vbgcam.desktop.tray_supervisor import AGAIN, DONE, NEVER, TraySupervisor

if sys.platform != "linux":
    pytest.skip("what is tested here is Linux's", allow_module_level=True)

# `before` stands for what a machine lacks.
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from vbgcam.control.client import Client
from vbgcam.desktop import tray
{before}
sys.exit(tray.run(Client.find()))
"""
WITHOUT_GTK = "from vbgcam.desktop import toolkit; toolkit.FOLDERS = (); sys.modules['gi'] = None"
# A person who chooses that file in the dialog as soon as it is listed there, or presses Cancel.
CHOOSES = """
from vbgcam.desktop.toolkit import module
show = tray._Tray._choose
def choose(self):
    show(self)
    window, path = self._dialog, {path!r}
    def answer():
        accept, cancel = module("Gtk").ResponseType.ACCEPT, module("Gtk").ResponseType.CANCEL
        if path and window.get_filenames() != [path]:
            return True
        window.response(accept if path else cancel)
        return False
    window.select_filename(path)
    module("GLib").timeout_add(20, answer)
tray._Tray._choose = choose
"""

Process = subprocess.Popen[str]


def command(before: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(root=str(ROOT), before=before)]


@dataclass
class World:
    """A desktop and a program that runs."""

    desktop: Desktop
    program: Controlled
    stack: contextlib.ExitStack

    def tray(self, before: str = "", **environment: str) -> Process:
        """Not waited for."""
        told = self.desktop.environment | environment
        process = subprocess.Popen(command(before), env=told, stderr=subprocess.PIPE, text=True)
        self.stack.callback(_end, process)
        return process

    def host(self) -> Host:
        return self.stack.enter_context(self.desktop.host())

    def shown(self) -> Host:
        """One that shows the icon of a tray that was started."""
        host = self.host()
        until(lambda: "Quit" in host.labels() and host.icon["status"] == "Active", 20)
        return host

    def finger(self) -> Finger:
        finger = self.desktop.finger()
        self.stack.callback(finger.close)
        return finger

    def done(self) -> list[dict[str, object]]:
        return self.program.api.done

    def picture(self, name: str, number: int) -> Path:
        """Puts one into the gallery."""
        folder = self.program.api.gallery.folder
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(picture(number, 320))
        return folder / name


@pytest.fixture
def bare() -> Iterator[World]:
    """A world where GTK may be missing."""
    skip_without(gtk=False)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vbg-")))
        desktop = stack.enter_context(Desktop(folder))
        program = stack.enter_context(controlled(folder))
        yield World(desktop, program, stack)


@pytest.fixture
def world(bare: World) -> World:
    skip_without(gtk=True)
    return bare


@pytest.fixture
def host(world: World) -> Host:
    """Shows the icon of a tray."""
    world.tray()
    return world.shown()


def _end(process: Process) -> None:
    process.kill()
    process.communicate()


def ended(process: Process) -> tuple[int, str]:
    """Its exit code, and what it said; GTK's own remarks are its own."""
    said = process.communicate(timeout=20)[1]
    return process.returncode, said


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and not ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox()


def test_the_menu_says_how_it_is_and_offers_what_there_is(world: World, host: Host) -> None:
    assert host.icon["title"] == "VBG Camera: On air: zoom"
    assert {"On air: zoom", "Background", "Start at login", "Quit"} < set(host.labels())
    assert not host.entry("On air: zoom")["enabled"]
    assert host.labels("Background")[:2] == ["Blur 70%", "Blur"]
    assert host.marked("Background") == ["Blur 70%"]
    assert host.marked("Camera") == ["HD Webcam"]
    assert {entry["mark"] for entry in host.icon["entries"][4]["entries"]} == {"radio"}


def test_backgrounds_have_pictures_beside_their_marks(world: World) -> None:
    world.picture("beach.jpg", 3)
    world.tray()
    host = world.shown()
    until(lambda: host.thumbnail("Background", "beach") is not None)
    until(lambda: host.thumbnail("Background", "Slate") is not None)
    shown = host.thumbnail("Background", "beach")
    assert shown is not None
    assert shown.size == (48, 48)
    # What the fake gives for that name, as JPEG keeps it.
    grey = shown.convert("RGB").resize((1, 1)).getpixel((0, 0))
    number = sum(b"beach.jpg")
    wanted = (160, 90 * number % 256, 40 * number % 256)
    assert isinstance(grey, tuple)
    assert max(abs(a - b) for a, b in zip(grey, wanted, strict=True)) < 4
    slate = host.thumbnail("Background", "Slate")
    assert slate is not None
    assert slate.convert("RGB").getpixel((24, 24)) == (0x3B, 0x4A, 0x57)
    assert host.entry("Background", "beach")["mark"] == "radio"
    world.picture("dunes.jpg", 4)
    world.program.api.change()
    until(lambda: "dunes" in host.labels("Background"))
    until(lambda: host.thumbnail("Background", "dunes") is not None)


def test_the_icon_has_a_face_for_each_state(world: World, host: Host) -> None:
    assert same(host.picture(), icons.face("on air", 48))
    trouble = {"at": 0, "what": "the camera is gone", "fix": "plug it in again", "now": True}
    seen: list[tuple[dict[str, object], Face, str]] = [
        ({"state": "idle"}, "idle", "Idle: nobody is watching"),
        ({"state": "covered", "troubles": [trouble]}, "trouble", "Trouble: the camera is gone"),
        ({"state": "on air", "troubles": [trouble | {"now": False}]}, "on air", "On air: zoom"),
        ({"state": "paused", "paused": True}, "paused", "Paused: others see the background alone"),
    ]
    for change, face, line in seen:
        world.program.api.change(**change)
        until(lambda: host.labels()[:1] == [line] and same(host.picture(), icons.face(face, 48)))  # noqa: B023
        until(lambda: host.icon["title"] == f"VBG Camera: {line}")  # noqa: B023


def test_a_room_that_is_visible_is_said_and_hidden_by_the_first_entry(world: World, host: Host) -> None:
    before = world.program.api.values["settings"]["background"]["show"]
    world.program.client.do({"do": "background", "to": "none"})
    first = "Your room is visible: hide it"
    until(lambda: host.labels()[:1] == [first] and same(host.picture(), icons.face("room", 48)))
    until(lambda: host.icon["title"] == "VBG Camera: Your room is visible")
    assert host.marked("Background") == ["No background (room visible)"]
    host.click(first)
    until(lambda: host.labels()[:1] == ["On air: zoom"] and same(host.picture(), icons.face("on air", 48)))
    assert world.program.api.values["settings"]["background"]["show"] == before


def test_the_other_entries_send_their_commands(world: World, host: Host) -> None:
    for path in (
        ("Mirror",),
        ("Camera", "A drawn presenter"),
        ("Model", "Large (208 MB; 90 ms a mask here; will download)"),
        ("Mask preset", "Fast (least work)"),
        ("Quit",),
    ):
        before = len(world.done())
        host.click(*path)
        until(lambda: len(world.done()) > before and host.entry("Mirror")["on"])  # noqa: B023
    assert world.done() == [
        {"do": "mirror", "to": True},
        {"do": "camera", "to": "demo"},
        {"do": "model", "to": "fcn_resnet101"},
        {"do": "preset", "to": "fast"},
        {"do": "quit"},
    ]


def test_what_is_refused_is_told(world: World) -> None:
    world.program.api.errors["do"] = BackgroundError("beach.jpg: is broken", fix="choose another one")
    tray = world.tray()
    host = world.shown()
    host.click("Background", "Blur")
    until(lambda: host.notes == ["beach.jpg: is broken; choose another one"])
    assert host.marked("Background") == ["Blur 70%"]
    assert tray.poll() is None


def test_the_panel_is_opened_in_the_browser(world: World) -> None:
    said = world.desktop.fake("xdg-open")
    world.tray()
    world.shown().click("Open panel")
    until(said.exists)
    assert said.read_text().startswith(f"http://127.0.0.1:{world.program.instance.port}/#")


def test_the_diagnosis_and_a_fix_go_to_the_clipboard(world: World) -> None:
    trouble = {"at": 0, "what": "no module", "fix": "sudo modprobe v4l2loopback", "now": True}
    world.program.api.change(troubles=[trouble])
    world.tray()
    host = world.shown()
    host.click("Copy: sudo modprobe v4l2loopback")
    until(lambda: clipboard(world) == "sudo modprobe v4l2loopback")
    host.click("Copy diagnosis")
    until(lambda: clipboard(world) == world.program.api.text)
    assert host.notes == ["The diagnosis is on the clipboard."]


def clipboard(world: World) -> str:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from vbgcam.desktop.toolkit import load_gi, module; load_gi()\n"
        "Gtk = module('Gtk', '3.0'); board = Gtk.Clipboard.get(module('Gdk').SELECTION_CLIPBOARD)\n"
        "sys.stdout.write(board.wait_for_text() or '')"
    )
    asked = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(asked, env=world.desktop.environment, capture_output=True, text=True, check=True).stdout


def test_the_start_at_login_is_switched_in_the_menu(world: World, host: Host) -> None:
    entry = world.desktop.folder / "config" / "autostart" / "vbgcam.desktop"
    host.click("Start at login")
    until(lambda: host.entry("Start at login")["on"])
    assert entry.exists()
    host.click("Start at login")
    until(lambda: not host.entry("Start at login")["on"])
    assert not entry.exists()


def test_a_picture_is_added_and_shown(world: World) -> None:
    path = world.desktop.folder / "beach.jpg"
    path.write_bytes(picture(5, 640))
    world.tray(CHOOSES.format(path=str(path)))
    host = world.shown()
    host.click("Background", "Add pictures...")
    until(lambda: host.marked("Background") == ["beach"])
    gallery = world.program.api.gallery
    assert (gallery.folder / "beach.jpg").read_bytes() == path.read_bytes()


def test_a_person_who_adds_nothing_changes_nothing(world: World) -> None:
    world.tray(CHOOSES.format(path=""))
    host = world.shown()
    host.click("Background", "Add pictures...")
    host.click("Background", "Add pictures...")
    host.click("Mirror")
    until(lambda: world.done() == [{"do": "mirror", "to": True}])
    assert not world.program.api.gallery.seen


def test_a_panel_that_comes_late_shows_the_icon(world: World) -> None:
    world.tray()
    until(lambda: world.program.api.called.get("choices", 0) > 0, 20)
    world.shown()


@pytest.mark.parametrize("panel", [True, False], ids=["with a panel", "without a panel"])
def test_the_icon_ends_with_the_program(world: World, panel: bool) -> None:
    tray = world.tray()
    host = world.shown()
    if not panel:
        host.kill()
    world.program.server.stop()
    assert ended(tray)[0] == DONE
    if panel:
        until(lambda: not host.icons)
    assert not (world.program.instance.folder / "tray").exists()


def test_the_icon_ends_where_another_program_has_been_started(world: World) -> None:
    tray = world.tray()
    world.shown()
    world.program.api.change(pid=os.getpid() + 1)
    assert ended(tray)[0] == DONE


def test_there_is_no_second_icon(world: World, host: Host) -> None:
    code, text = ended(world.tray())
    assert (code, "there is one already" in text) == (AGAIN, True)
    assert len(host.icons) == 1
    assert same(host.picture(), icons.face("on air", 48))


def test_a_supervisor_brings_it_back_after_the_display_was_lost(world: World) -> None:
    supervisor = TraySupervisor(command(), world.desktop.environment)
    world.stack.callback(supervisor.stop)

    def kept(condition: Callable[[], bool]) -> Callable[[], bool]:
        def ask() -> bool:
            supervisor.tick()
            return condition()

        return ask

    supervisor.start()
    host = world.host()
    until(kept(lambda: "Quit" in host.labels()), 20)
    world.desktop.screen_off()
    until(kept(lambda: not host.icons))
    world.desktop.screen_on()
    assert world.program.client.status()["state"] == "on air"
    until(kept(lambda: "Quit" in host.labels()), 60)
    supervisor.stop()
    until(lambda: not host.icons)


def test_without_gtk_the_package_is_named_and_a_click_opens_the_panel(bare: World) -> None:
    said = bare.desktop.fake("xdg-open")
    finger = bare.finger()
    finger.panel()
    tray = bare.tray(WITHOUT_GTK)
    until(finger.dock, 20)
    until(lambda: icons.ACCENT in finger.colours(32))
    finger.click(8, 8)
    until(said.exists)
    assert said.read_text().startswith(f"http://127.0.0.1:{bare.program.instance.port}/#")
    bare.program.server.stop()
    code, text = ended(tray)
    assert code == DONE
    assert text.startswith("the tray icon has no menu: GTK for Python is not installed; ")
    assert "python3-gi" in text or "distribution's package manager" in text
    assert "Traceback" not in text


def test_without_gtk_the_icon_finds_a_panel_that_comes_late(bare: World) -> None:
    tray = bare.tray(WITHOUT_GTK)
    until(lambda: bare.program.api.called.get("choices", 0) > 0, 20)
    finger = bare.finger()
    finger.panel()
    until(finger.dock)
    tray.terminate()
    assert "Traceback" not in ended(tray)[1]


def test_without_a_session_bus_the_icon_is_plain_x11(world: World) -> None:
    finger = world.finger()
    finger.panel()
    tray = world.tray(DBUS_SESSION_BUS_ADDRESS="unix:path=/nowhere")
    until(finger.dock, 20)
    tray.terminate()
    assert "there is no D-Bus session" in ended(tray)[1]


def test_without_the_indicator_library_the_icon_is_gtk_s_older_one(world: World) -> None:
    said = world.desktop.fake("xdg-open")
    finger = world.finger()
    finger.panel()
    tray = world.tray("from vbgcam.desktop import toolkit; toolkit._INDICATORS = ()")
    until(finger.dock, 20)
    until(lambda: icons.ACCENT in finger.colours(32))
    finger.click(8, 8)
    until(said.exists)
    tray.terminate()
    text = ended(tray)[1]
    assert "the tray icon is plain: libayatana-appindicator is not installed; " in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("before", "environment", "code", "said"),
    [
        ("", {"DISPLAY": ""}, NEVER, "no tray icon: no desktop session\n"),
        (WITHOUT_GTK, {"DISPLAY": "", "WAYLAND_DISPLAY": "wayland-0"}, NEVER, "no tray icon: GTK for Python is not "),
        ("", {"DISPLAY": ":54321"}, AGAIN, "no tray icon: the display does not answer"),
        (WITHOUT_GTK, {"DISPLAY": ":54321"}, AGAIN, "no tray icon: Can't connect"),
    ],
    ids=["no desktop", "Wayland without GTK", "no display", "no display without GTK"],
)
def test_where_there_is_no_icon_it_is_said_why_and_whether_one_may_come(
    bare: World, before: str, environment: dict[str, str], code: int, said: str
) -> None:
    if not before:
        skip_without(gtk=True)
    ended_with, text = ended(bare.tray(before, **environment))
    assert ended_with == code
    assert said in text
    assert "Traceback" not in text


def test_it_ends_when_it_is_told_whatever_was_to_be_done_then(world: World) -> None:
    """The command line has an orderly end of its own, for what needs one."""
    tray = world.tray("import signal; signal.signal(signal.SIGTERM, lambda *_: None)")
    host = world.shown()
    tray.terminate()
    assert tray.wait(20) == -signal.SIGTERM
    until(lambda: not host.icons)


def test_the_icon_s_process_is_light(bare: World) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import vbgcam.desktop.tray\n"
        "print(*{'numpy', 'cv2', 'torch', 'aiohttp', 'pystray', 'gi'} & set(sys.modules))"
    )
    asked = [sys.executable, "-c", code]
    done = subprocess.run(asked, env=bare.desktop.environment, capture_output=True, text=True, check=True)
    assert not done.stdout.strip()

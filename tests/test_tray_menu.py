"""menu: what the tray shows, from status and choices alone."""

import itertools
import os
from typing import Any

import pytest

from tests.support import control_fakes as fakes
from vbgcam.desktop import menu
from vbgcam.desktop.menu import SEPARATOR, Copy, MenuItem, Swatch, Thumbnail


def status(**told: Any) -> dict[str, Any]:
    return fakes.status() | {"revision": 1} | told


def showing(background: str) -> dict[str, Any]:
    told = status()
    told["settings"]["background"]["show"] = background
    return told


def trouble(what: str, fix: str = "", *, now: bool = True) -> dict[str, Any]:
    return {"at": 0.0, "what": what, "fix": fix, "now": now}


def picture(name: str, broken: str = "") -> dict[str, Any]:
    path = f"/data/{name}"
    label = os.path.splitext(name)[0]  # noqa: PTH122  # the name is not always a path
    return {"spec": path, "name": name, "label": label, "kind": "picture", "broken": broken, "removable": True}


def below(label: str, told: dict[str, Any], **offered: Any) -> tuple[MenuItem, ...]:
    choices = fakes.choices() | offered
    return next(entry.items for entry in menu.menu_items(told, choices, autostart=False) if entry.label == label)


def labels(entries: tuple[MenuItem, ...]) -> list[str]:
    return ["---" if entry == SEPARATOR else entry.label for entry in entries]


def marked(entries: tuple[MenuItem, ...]) -> list[str]:
    return [entry.label for entry in entries if entry.checked]


@pytest.mark.parametrize(
    ("told", "face", "line"),
    [
        (status(state="starting", readers=[]), "idle", "Starting"),
        (status(readers=[]), "on air", "On air"),
        (status(readers=["zoom", "chrome"]), "on air", "On air: zoom, chrome"),
        (status(room_shown=True), "room", "Your room is visible"),
        (status(room_shown=True, troubles=[trouble("new")]), "room", "Your room is visible"),
        (status(state="idle"), "idle", "Idle: nobody is watching"),
        (status(state="covered", why="no mask yet"), "idle", "Covered: no mask yet"),
        (status(state="covered", why=""), "idle", "Covered"),
        (status(state="no output"), "trouble", "Trouble: there is no virtual camera"),
        (status(state="paused", paused=True), "paused", "Paused: others see the background alone"),
        (status(state="stopped"), "idle", "Stopped"),
        (status(troubles=[trouble("new"), trouble("old")]), "trouble", "Trouble: new"),
        (status(troubles=[trouble("over", now=False)]), "on air", "On air: zoom"),
        (status(paused=True, troubles=[trouble("new")]), "paused", "Paused: others see the background alone"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_each_state_has_its_face_and_its_line(told: dict[str, Any], face: str, line: str) -> None:
    assert (menu.face(told), menu.headline(told)) == (face, line)


def test_the_first_entry_hides_a_room_that_is_visible() -> None:
    first, *_ = menu.menu_items(status(room_shown=True), fakes.choices(), autostart=False)
    assert first == MenuItem("Your room is visible: hide it", {"do": "background", "to": "last"})
    assert menu.menu_items(status(), fakes.choices(), autostart=False)[0].action is None


def test_a_trouble_stands_with_its_fix_to_copy() -> None:
    told = status(troubles=[trouble("no module", "sudo modprobe v4l2loopback")])
    first, second, third, *_ = menu.menu_items(told, fakes.choices(), autostart=False)
    assert first == MenuItem("Trouble: no module")
    assert second == MenuItem("Copy: sudo modprobe v4l2loopback", Copy("sudo modprobe v4l2loopback"))
    assert third == SEPARATOR


def test_without_a_virtual_camera_its_fix_is_offered() -> None:
    choices = fakes.choices() | {"virtual": {"there": False, "name": "VBG Camera", "fix": "sudo apt install it"}}
    assert menu.menu_items(status(state="no output"), choices, autostart=False)[1].action == Copy("sudo apt install it")


def test_while_it_is_paused_troubles_do_not_matter() -> None:
    told = status(paused=True, troubles=[trouble("no module", "sudo modprobe v4l2loopback")])
    assert menu.menu_items(told, fakes.choices(), autostart=False)[1] == SEPARATOR


def test_where_something_lighter_was_taken_the_second_entry_goes_back() -> None:
    back = {"model.name": "auto", "model.size": "auto"}
    helped = {"from": "FCN, ResNet-101", "to": "LR-ASPP, MobileNetV3", "why": "it was too slow", "back": back}
    second = menu.menu_items(status(helped=helped), fakes.choices(), autostart=False)[1]
    assert second == MenuItem("Go back to FCN, ResNet-101 (was too slow)", {"do": "set", "settings": back})
    assert menu.menu_items(status(), fakes.choices(), autostart=False)[1] == SEPARATOR


def test_marks_and_commands_follow_the_state() -> None:
    told = status(paused=True)
    told["settings"]["output"]["mirror"] = True
    found = {entry.label: entry for entry in menu.menu_items(told, fakes.choices(), autostart=True)}
    assert (found["Pause"].checked, found["Pause"].action) == (True, {"do": "resume"})
    assert (found["Mirror"].checked, found["Mirror"].action) == (True, {"do": "mirror", "to": False})
    assert found["Start at login"].checked
    assert [label for label, entry in found.items() if entry.default] == ["Open panel"]


def test_backgrounds_stand_in_groups() -> None:
    entries = below("Background", showing("/data/beach.jpg"), backgrounds=[picture("beach.jpg"), picture("dunes.png")])
    assert labels(entries) == [
        *("beach", "dunes", "---"),
        *("Blur", "Strong blur", "---"),
        *("Slate", "Sand", "---"),
        "Add pictures...",
    ]
    assert marked(entries) == ["beach"]
    assert entries[0].picture == Thumbnail("beach.jpg")
    assert entries[6].picture == Swatch("#3b4a57")
    assert entries[1].action == {"do": "background", "to": "/data/dunes.png"}
    assert all(entry.radio for entry in entries[:2])


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("blur:0.80", "Blur"),
        ("#3B4A57", "Slate"),
        ("blur:1.0", "Strong blur"),
        ("~/beach.jpg", "beach"),
    ],
)
def test_a_background_is_known_however_it_is_written(written: str, label: str) -> None:
    home = picture("beach.jpg") | {"spec": os.path.expanduser("~/beach.jpg")}  # noqa: PTH111
    assert marked(below("Background", showing(written), backgrounds=[home])) == [label]


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("/elsewhere/my beach.jpg", "my beach"),
        ("blur", "Blur 70%"),
        ("#ff0000", "Colour #ff0000"),
        ("none", "No background (room visible)"),
        ("blur:seven", "blur:seven"),
    ],
)
def test_a_background_that_nobody_offers_is_shown_all_the_same(written: str, label: str) -> None:
    entries = below("Background", showing(written))
    assert labels(entries)[:2] == [label, "---"]
    assert marked(entries) == [label]


def test_a_broken_picture_cannot_be_chosen_and_says_why() -> None:
    entries = below("Background", status(), backgrounds=[picture("beach.jpg", "cut short")])
    broken = next(entry for entry in entries if entry.label.startswith("beach"))
    assert broken.label == "beach (broken: cut short)"
    assert broken.action is None
    assert broken.picture is None


def test_of_many_pictures_a_screenful_is_offered_and_the_one_on_air_is_among_them() -> None:
    many = [picture(f"{number:03}.jpg") for number in range(100)]
    entries = below("Background", showing("/data/099.jpg"), backgrounds=many)
    assert labels(entries)[:32] == [*(f"{number:03}" for number in range(29)), "099", "70 more in the panel", "---"]
    assert entries[30].action == "panel"
    assert marked(entries) == ["099"]


def test_names_are_one_line_that_fits() -> None:
    hostile = "a\nb\x1b[31m\u202etxt" + "x" * 100
    entries = below("Background", status(), backgrounds=[picture("a.jpg") | {"label": hostile}])
    label = next(entry.label for entry in entries if entry.picture == Thumbnail("a.jpg"))
    assert label == "a b [31m txt" + "x" * 47 + "…"
    assert len(label) == 60


def test_a_source_that_is_no_camera_is_shown() -> None:
    told = status()
    told["settings"]["camera"]["source"] = "file:talk.mp4"
    entries = below("Camera", told, cameras=[])
    assert labels(entries) == ["file:talk.mp4"]
    assert marked(entries) == ["file:talk.mp4"]


def test_a_network_that_is_being_fetched_is_told() -> None:
    told = status(loading={"model": "fcn_resnet101", "done": 5, "total": 10, "host": "a host"})
    entries = below("Model", told)
    assert labels(entries) == [
        *("Loading fcn_resnet101", "Cancel the download", "---"),
        "Small and fast (13 MB; 5 ms a mask here)",
        "Large (208 MB; 90 ms a mask here; will download)",
    ]
    assert entries[1].action == {"do": "model", "to": "cancel"}
    assert marked(entries) == ["Small and fast (13 MB; 5 ms a mask here)"]


def test_a_network_that_cannot_be_had_can_be_tried_again() -> None:
    entries = below("Model", status(model_problem="no connection"))
    assert labels(entries)[:2] == ["Retry", "---"]
    assert entries[0].action == {"do": "model", "to": "auto"}


def test_of_an_automatic_choice_and_what_it_came_to_one_has_the_mark() -> None:
    automatic = {"spec": "auto", "label": "Automatic", "cost": "the best for this machine", "here": True, "now": True}
    models = [automatic, *fakes.choices()["models"]]
    told = status()
    entries = below("Model", told, models=models)
    assert marked(entries) == ["Automatic (the best for this machine)"]
    assert labels(entries)[1] == "Small and fast (13 MB; 5 ms a mask here; in use)"
    told["settings"]["model"]["name"] = "lraspp_mobilenet_v3_large"
    assert marked(below("Model", told, models=models)) == ["Small and fast (13 MB; 5 ms a mask here)"]


def test_a_network_that_nobody_offers_is_shown_all_the_same() -> None:
    told = status()
    told["settings"]["model"]["name"] = "onnx:mine.onnx"
    assert labels(below("Model", told, models=[])) == ["onnx:mine.onnx"]


def test_the_preset_of_the_settings_is_marked() -> None:
    told = status()
    told["settings"]["mask"]["preset"] = "balanced"
    assert marked(below("Mask preset", told)) == ["Balanced (some work)"]


def test_lines_stand_between_groups_alone() -> None:
    """pystray drops others, and then its menu is not this one."""
    for told in (status(), showing("none"), status(loading={"model": "a", "done": None, "total": None, "host": ""})):
        for nothing in ("backgrounds", "blurs", "colours", "cameras", "models", "presets"):
            for entries in _levels(menu.menu_items(told, fakes.choices() | {nothing: []}, autostart=False)):
                lines = [entry == SEPARATOR for entry in entries]
                assert not lines[0]
                assert not lines[-1]
                assert not any(one and two for one, two in itertools.pairwise(lines))


def _levels(entries: tuple[MenuItem, ...]) -> list[tuple[MenuItem, ...]]:
    return [entries, *(level for entry in entries if entry.items for level in _levels(entry.items))]


def test_the_same_state_is_the_same_menu() -> None:
    """A menu is made anew only where it differs; one that is open would close."""
    one = menu.menu_items(status(fps=29.0), fakes.choices(), autostart=False)
    assert one == menu.menu_items(status(fps=31.0, revision=2), fakes.choices(), autostart=False)
    assert one != menu.menu_items(status(), fakes.choices(), autostart=True)

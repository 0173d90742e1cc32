"""control.controller: commands, the config file and the session, with a real session whose camera, network and output
are fakes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fakes import SIZE, FakeSegmenter, FakeSource
from tests.support.live import PATIENCE, Watched, hold
from vbgcam import factory
from vbgcam.background.gallery import Gallery
from vbgcam.control import controller as controlling
from vbgcam.control.controller import Controller
from vbgcam.core import policy
from vbgcam.core.errors import ConfigError, ControlError, ModelError, VbgcamError
from vbgcam.core.frames import RawFrame
from vbgcam.core.policy import Why
from vbgcam.live import pace
from vbgcam.live.plan import Network, Plan
from vbgcam.live.session import Session
from vbgcam.live.stats import Stats
from vbgcam.media import images
from vbgcam.pixels.convert import color_yuv
from vbgcam.segment import Progress, Segmenter
from vbgcam.segment.catalogue import CATALOGUE
from vbgcam.segment.weights import cache_folder
from vbgcam.settings.layered import LayeredSettings
from vbgcam.settings.schema import Settings
from vbgcam.settings.state import RememberedState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
VERBS = st.sampled_from(
    ["set", "background", "blur", "model", "camera", "preset", "mirror", "pause", "toggle", "quit", "welcomed"]
)
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)


class Running:
    """A running controller, and what is on air."""

    def __init__(
        self, folder: Path, *, source: FakeSource | None = None, waits: bool = False, **overrides: str
    ) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        if not self.config.exists():
            self.config.write_text("# mine\n")
        self.gallery = Gallery(folder / "backgrounds", folder / "thumbnails")
        self.output = Watched()
        self.state = RememberedState(folder / "state.json")
        named = {name.replace("__", "."): text for name, text in overrides.items()}
        layers = LayeredSettings(self.config, named, self.state)
        plan = Plan(
            source=source or FakeSource(itertools.repeat(True), period=0.001),
            output=self.output,
            background=factory.backdrop(layers.settings, SIZE),
            network=factory.network(layers.settings),
            options=factory.render_options(layers.settings),
            size=SIZE,
            fps=200.0,
            waits=waits,
        )
        self.session = Session(plan, Stats())
        self.session.pause(self.state.paused)
        self.controller = Controller(self.session, layers, self.state, self.gallery, report=lambda: "all is well")

    def __enter__(self) -> Running:
        self.session.start()
        self.output.more(3)
        return self

    def __exit__(self, *_: object) -> None:
        self.controller.close()
        assert self.session.stop(), [thread.name for thread in threading.enumerate()]

    def do(self, verb: str, to: object = ..., **more: object) -> str:
        return self.controller.do({"do": verb, **({} if to is ... else {"to": to}), **more})

    def shows(self, colour: tuple[int, int, int]) -> None:
        self.output.wait(lambda: abs(self.output.seen[-1] - color_yuv(colour)[0]) <= 2)

    def until(self, true: Callable[[], bool]) -> None:
        """Ticking meanwhile, as the program does."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "it never came"
            self.controller.tick()
            self.session.wait(0.005, threading.Event())

    def edit(self, text: str) -> None:
        self.config.write_text(text)

    def setting(self, name: str) -> object:
        section, _, key = name.partition(".")
        return self.controller.status()["settings"][section][key]


def picture(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(exist_ok=True)
    images.write(path, np.full((90, 160, 3), colour, np.uint8))
    return path


@pytest.fixture(autouse=True)
def _made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Networks that know the person; one of a file that is not there cannot be had."""

    def network(settings: Settings) -> Network:
        name = settings.model.name

        def build(_progress: Progress) -> Segmenter:
            if name.startswith("onnx:"):
                raise ModelError(f"{name} is not there", fix="make one")
            return FakeSegmenter(name=name)

        return Network(name, build)

    monkeypatch.setattr(factory, "network", network)
    monkeypatch.setattr(pace, "RETRIES", (0.001,) * 6)
    monkeypatch.setattr(pace, "END", 60.0)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    for name, colour in (("blue.png", BLUE), ("green.png", GREEN), ("red.png", RED)):
        picture(tmp_path / "backgrounds" / name, colour)
    with Running(tmp_path) as running:
        yield running


def test_a_background_is_named_by_its_path_its_name_or_its_place_in_the_row(running: Running) -> None:
    assert running.do("background", str(running.gallery.folder / "red.png")) == "background: red"
    running.shows(RED)
    assert running.do("background", "Blue") == "background: blue"
    running.shows(BLUE)
    assert running.do("background", "next") == "background: green"
    running.shows(GREEN)
    running.do("background", "next")
    assert running.do("background", "next") == "background: blue"
    assert running.do("background", "previous") == "background: red"
    running.shows(RED)
    assert running.do("background", "#3b4a57") == "background: slate"
    assert running.do("blur", 0.7) == "background: blur 0.7"
    assert running.setting("background.show") == "blur:0.7"


def test_the_last_background_that_hid_the_room_comes_back(running: Running) -> None:
    running.do("background", "blue")
    running.do("background", "#204060")
    running.do("background", "none")
    running.until(lambda: running.controller.status()["room_shown"])
    running.do("preset", "fast")
    assert running.do("background", "last") == "background: #204060"
    running.until(lambda: not running.controller.status()["room_shown"])
    assert running.do("background", "last") == "background: #204060"


def test_a_room_is_hidden_whatever_became_of_the_last_background(running: Running) -> None:
    running.do("background", "blue")
    running.do("background", "none")
    (running.gallery.folder / "blue.png").unlink()
    assert running.do("background", "last") == "background: slate"


@pytest.mark.parametrize(("chosen", "back"), [("#204060", "#204060"), (None, "slate")])
def test_a_start_with_the_room_as_it_is_knows_what_hid_it_in_an_earlier_run(
    tmp_path: Path, chosen: str | None, back: str
) -> None:
    if chosen is not None:
        with Running(tmp_path) as running:
            running.do("background", chosen)
    with Running(tmp_path, background__show="none") as running:
        running.until(lambda: running.controller.status()["room_shown"])
        assert running.do("background", "last") == f"background: {back}"


def test_a_broken_picture_is_left_out_of_the_row_and_refused(running: Running) -> None:
    (running.gallery.folder / "cyan.png").write_bytes(b"\x89PNG\r\n")
    running.do("background", "blue")
    assert running.do("background", "next") == "background: green"
    with pytest.raises(VbgcamError, match=r"cyan\.png"):
        running.do("background", str(running.gallery.folder / "cyan.png"))
    assert running.setting("background.show") == str(running.gallery.folder / "green.png")
    running.shows(GREEN)


@pytest.mark.parametrize(
    "command",
    [
        {"do": "background", "to": "/no/such/picture.png"},
        {"do": "background", "to": "#12345"},
        {"do": "background", "to": "blur:2"},
        {"do": "background", "to": "blur:0.5"},
        {"do": "blur", "to": 0.5},
        {"do": "blur", "to": float("nan")},
        {"do": "set", "settings": {"background.show": "blur:0.5"}},
        {"do": "model", "to": "fcn"},
        {"do": "model", "to": "truth:masks.mkv"},
        {"do": "model", "to": "onnx:gone.onnx"},
        {"do": "camera", "to": "camera:no such camera"},
        {"do": "camera", "to": "file:gone.mp4"},
        {"do": "camera", "to": "file:gone.mp4?pace=max"},
        {"do": "preset", "to": "finest"},
        {"do": "set", "settings": {"output.size": "640x480"}},
        {"do": "set", "settings": {"output.mirror": True, "mask.max_age_ms": -1.0}},
    ],
)
def test_what_cannot_be_done_changes_nothing(running: Running, command: dict[str, Any]) -> None:
    before = running.controller.status()["settings"]
    with pytest.raises(VbgcamError) as refused:
        running.controller.do(command)
    assert str(refused.value)
    running.controller.tick()
    assert running.controller.status()["settings"] == before
    assert running.controller.status()["state"] != "stopped"


def test_all_mistakes_are_named(running: Running) -> None:
    with pytest.raises(ConfigError) as refused:
        running.do("set", settings={"mask.prest": "fine", "output.mirror": 3})
    assert len(refused.value.problems) == 2


def test_a_pause_is_toggled_and_remembered_after_a_crash_but_not_after_an_orderly_end(running: Running) -> None:
    assert running.do("toggle").startswith("paused")
    assert running.controller.status()["paused"]
    assert RememberedState(running.folder / "state.json").paused, "as after a kill"
    assert running.do("toggle") == "resumed"
    running.do("pause")
    running.controller.close()
    assert not RememberedState(running.folder / "state.json").paused


def test_a_start_after_a_crash_while_paused_shows_nobody(tmp_path: Path) -> None:
    state = RememberedState(tmp_path / "state.json")
    state.paused = True
    state.save(at_once=True)
    with Running(tmp_path) as running:
        running.output.more(10)
        assert all(running.output.kinds)
        assert running.controller.status()["state"] == "paused"


def test_a_mirror_goes_the_other_way(running: Running) -> None:
    assert running.do("mirror") == "output.mirror = on"
    assert running.do("mirror") == "output.mirror = off"
    assert running.do("mirror", True) == "output.mirror = on"
    assert running.setting("output.mirror") is True


def test_another_network_is_answered_for_and_one_that_cannot_be_had_is_not_kept(running: Running) -> None:
    assert running.do("model", "chroma") == "model: chroma"
    with pytest.raises(VbgcamError, match=r"onnx:gone\.onnx is not there; make one"):
        running.do("model", "onnx:gone.onnx")
    running.until(lambda: running.setting("model.name") == "chroma")
    troubles = running.controller.status()["troubles"]
    assert (troubles[0]["what"], troubles[0]["fix"]) == ("onnx:gone.onnx is not there", "make one")
    running.state.save(at_once=True)
    kept = (running.folder / "state.json").read_text()
    assert "gone" not in kept
    assert "chroma" in kept, "the choice before it"


def test_who_chose_a_network_hears_that_it_is_refused_although_the_program_saw_it_first(running: Running) -> None:
    over = threading.Event()

    def tick() -> None:
        while not over.is_set():
            running.controller.tick()

    ticking = threading.Thread(target=tick)
    ticking.start()
    try:
        for _ in range(10):
            with pytest.raises(VbgcamError, match=r"onnx:gone\.onnx is not there"):
                running.do("model", "onnx:gone.onnx")
    finally:
        over.set()
        ticking.join()


def test_a_refused_network_is_forgotten_and_what_was_in_force_is_not_taken_for_a_choice(tmp_path: Path) -> None:
    with Running(tmp_path, model__name="chroma") as running:
        with pytest.raises(VbgcamError):
            running.do("set", settings={"model.name": "onnx:gone.onnx", "output.mirror": True})
        assert running.setting("model.name") == "chroma"
        assert running.setting("output.mirror") is True
        running.state.save(at_once=True)
        assert RememberedState(tmp_path / "state.json").choices(Settings()) == {"output.mirror": True}


def test_a_network_of_the_file_that_is_refused_is_tried_again_at_the_next_start(running: Running) -> None:
    running.edit('[model]\nname = "onnx:gone.onnx"\n')
    running.until(lambda: "gone" in str(running.controller.status()["troubles"]))
    assert running.setting("model.name") == "auto"
    running.state.save(at_once=True)
    layers = LayeredSettings(running.config, {}, RememberedState(running.folder / "state.json"))
    assert layers.settings.model.name == "onnx:gone.onnx"


def test_a_refused_network_is_not_kept_where_the_first_one_begins_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = threading.Event(), threading.Event()

    def network(settings: Settings) -> Network:
        name = settings.model.name

        def build(_progress: Progress) -> Segmenter:
            assert (first if name == "auto" else second).wait(PATIENCE)
            if name != "auto":
                raise ModelError("damaged")
            return FakeSegmenter(name=name)

        return Network(name, build)

    monkeypatch.setattr(factory, "network", network)
    monkeypatch.setattr(controlling, "_ANSWER", 0.0)
    with Running(tmp_path) as running:
        assert "is being loaded" in running.do("model", "chroma")
        first.set()
        running.until(lambda: running.output.composed > 3)
        running.controller.tick()
        second.set()
        running.until(lambda: bool(running.controller.status()["troubles"]))
        assert running.setting("model.name") == "auto"


class Downloading:
    """Networks whose download goes on until it ends: "fcn_resnet50" for ever, the others at once, or with no
    connection while `offline`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self.offline = False
        self.asked: list[str] = []
        monkeypatch.setattr(factory, "network", lambda settings: Network(settings.model.name, self._build(settings)))

    def _build(self, settings: Settings) -> Callable[[Progress], Segmenter]:
        name = settings.model.name

        def build(progress: Progress) -> Segmenter:
            self.asked.append(name)
            if self.offline:
                raise ModelError("no connection", retry=True)
            try:
                while name == "fcn_resnet50" and len(self.asked) <= 2:
                    progress(1, 2, "a.host")
                    self.begun.set()
                    self.ended.wait(0.01)
            finally:
                self.ended.set()
            return FakeSegmenter(name=name)

        return build


def test_a_download_beside_the_network_that_works_is_cancelled_and_nothing_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controlling, "_ANSWER", 0.0)
    downloading = Downloading(monkeypatch)
    with Running(tmp_path, model__name="chroma") as running:
        running.until(lambda: running.output.composed > 3)
        downloading.ended.clear()
        running.do("model", "fcn_resnet50")
        running.until(downloading.begun.is_set)
        loading = {"model": "fcn_resnet50", "done": 1, "total": 2, "host": "a.host"}
        running.until(lambda: running.controller.status()["loading"] == loading)
        assert "cancelled" in running.do("model", "cancel")
        told = running.controller.status()
        assert (told["loading"], told["troubles"], told["model"]) == (None, [], "chroma")
        assert running.setting("model.name") == "chroma"
        running.until(downloading.ended.is_set)
        with pytest.raises(ControlError, match="no network is being downloaded"):
            running.do("model", "cancel")


def test_the_only_networks_download_is_cancelled_and_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloading = Downloading(monkeypatch)
    with Running(tmp_path, model__name="fcn_resnet50") as running:
        running.until(downloading.begun.is_set)
        running.until(lambda: (running.controller.status()["loading"] or {}).get("done") == 1)
        running.do("model", "cancel")
        running.until(lambda: "was cancelled" in running.controller.status()["model_problem"])
        running.until(lambda: running.controller.status()["loading"] is None)
        assert running.output.composed == 0
        downloading.asked += ["", ""]
        assert running.do("model", "fcn_resnet50") == "model: fcn_resnet50"
        running.until(lambda: running.output.composed > 3)
        assert running.controller.status()["model_problem"] == ""


def test_without_a_connection_there_is_one_problem_and_no_bar_and_who_tries_again_need_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "RETRIES", (PATIENCE * 2,))
    downloading = Downloading(monkeypatch)
    downloading.offline = True
    with Running(tmp_path, model__name="selfie") as running:
        running.until(lambda: running.controller.status()["model_problem"] == "no connection")
        running.until(lambda: running.controller.status()["loading"] is None)
        running.controller.tick()
        assert [one["what"] for one in running.controller.status()["troubles"] if one["now"]] == ["no connection"]
        assert running.output.composed == 0
        running.do("model", "selfie")
        running.until(lambda: len(downloading.asked) == 2)
        downloading.offline = False
        running.do("model", "selfie")
        running.until(lambda: running.output.composed > 3)
        assert running.controller.status()["model_problem"] == ""


def test_a_network_that_could_not_be_had_is_built_anew_when_it_is_chosen_again(tmp_path: Path) -> None:
    with Running(tmp_path, waits=True, model__name="onnx:gone.onnx") as running:
        running.until(lambda: not running.session.has_network)
        with pytest.raises(VbgcamError, match="is not there"):
            running.do("model", "onnx:gone.onnx")
        assert running.do("model", "chroma") == "model: chroma"
        assert running.do("model", "chroma") == "model.name = chroma"


def test_a_film_that_waits_for_its_reader_is_not_left(tmp_path: Path) -> None:
    with (
        Running(tmp_path, source=FakeSource(itertools.repeat(True), period=0.001, clocked=False)) as running,
        pytest.raises(ConfigError, match="to its end"),
    ):
        running.do("camera", "demo")


class TooLate:
    """A program whose network takes so long that nobody is shown; the weights of `there` are here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *there: str) -> None:
        monkeypatch.setattr(policy, "_HIDDEN", 0.0)
        monkeypatch.setattr(policy, "_OF", 0.0)
        monkeypatch.setattr(controlling, "_COMPILES", PATIENCE)
        monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
        cache_folder().mkdir(parents=True, exist_ok=True)
        for name in there:
            (cache_folder() / CATALOGUE[name].file).touch()
        monkeypatch.setattr(factory, "network", self.network)
        self.folder = folder
        self.asked: list[tuple[str, object]] = []
        self.broken = ""
        self.before: Callable[[RawFrame], None] = lambda _frame: None

    def running(self, name: str, size: str = "auto") -> Running:
        """No mask is too old there, but to `look`."""
        return Running(self.folder, mask__max_age_ms="10000", model__name=name, model__size=size)

    def network(self, settings: Settings) -> Network:
        name, size = settings.model.name, settings.model.size
        self.asked.append((name, size))

        def build(_progress: Progress) -> Segmenter:
            if name == self.broken:
                raise ModelError(f"{name} is damaged")
            first = FakeSegmenter(name=name, ladder=(256,), before=self.before)
            return first if size == "auto" else FakeSegmenter(name=name, ladder=(size,))

        return Network(name, build)

    def look(self, running: Running, why: Why = Why.TOO_FAR) -> dict[str, Any]:
        """One look at a picture that is hidden; the status afterwards, when the network that came of it works."""
        running.until(lambda: running.controller.status()["input"] != "" and running.output.composed > 3)
        running.session.stats.fact(why=str(why))
        running.controller.tick()
        running.session.stats.fact(why="")
        running.until(lambda: running.controller.status()["loading"] is None)
        return running.controller.status()


def test_where_masks_come_too_late_the_input_gets_smaller_then_the_network_lighter_and_one_step_leads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow = TooLate(monkeypatch, tmp_path, "lraspp_mobilenet_v3_large")
    with slow.running("fcn_resnet50") as running:
        running.until(lambda: running.output.composed > 3)
        assert running.controller.status()["helped"] is None
        told = slow.look(running, Why.MASK_AGE)
        assert told["helped"]["from"] == "FCN, ResNet-50 (input auto)"
        assert told["helped"]["to"] == "FCN, ResNet-50 (input 160)"
        assert told["settings"]["model"]["size"] == 160
        assert told["troubles"][0]["what"] == told["helped"]["why"]
        assert told["helped"]["why"] in caplog.text
        running.until(lambda: running.controller.status()["input"].startswith("160x"))
        slow.look(running)
        running.until(lambda: running.controller.status()["input"].startswith("96x"))
        told = slow.look(running)
        assert (told["helped"]["from"], told["helped"]["to"]) == ("FCN, ResNet-50", "LR-ASPP, MobileNetV3")
        assert (told["settings"]["model"]["name"], told["settings"]["model"]["size"]) == (
            "lraspp_mobilenet_v3_large",
            "auto",
        )
        running.state.save(at_once=True)
        assert RememberedState(tmp_path / "state.json").choices(Settings()) == {}, "no person chose it"
        running.do("set", settings=told["helped"]["back"])
        running.until(lambda: running.controller.status()["helped"] is None)
        assert running.setting("model.name") == "fcn_resnet50"
        asked = len(slow.asked)
        told = slow.look(running)
        assert (told["helped"], len(slow.asked)) == (None, asked), "it stays as the person wants it"
        assert told["troubles"][0]["what"] == "masks come too late to follow you"
        assert "vbgcam model selfie" in told["troubles"][0]["fix"]
    assert slow.asked == [
        ("fcn_resnet50", "auto"),
        ("fcn_resnet50", 160),
        ("fcn_resnet50", 96),
        ("lraspp_mobilenet_v3_large", "auto"),
        ("fcn_resnet50", "auto"),
    ]


def test_where_nothing_lighter_is_here_it_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = TooLate(monkeypatch, tmp_path)
    with slow.running("chroma") as running:
        for _ in range(3):
            told = slow.look(running)
            running.session.stats.fact(problem="")
            running.controller.tick()
        assert [(one["what"], one["fix"]) for one in told["troubles"]] == [
            ("masks come too late to follow you", "close other programs")
        ]
    assert slow.asked == [("chroma", "auto")]


@pytest.mark.parametrize("why", [Why.PAUSED, Why.IDLE, Why.LOADING, Why.CAMERA, Why.NO_MASK])
def test_who_is_hidden_for_another_reason_is_not_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: Why
) -> None:
    slow = TooLate(monkeypatch, tmp_path)
    with slow.running("fcn_resnet50") as running:
        told = slow.look(running, why)
        assert (told["helped"], told["troubles"], len(slow.asked)) == (None, [], 1)


def test_while_a_network_is_loaded_and_of_a_film_that_waits_late_masks_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = TooLate(monkeypatch, tmp_path)
    with slow.running("fcn_resnet50") as running:
        running.until(lambda: running.controller.status()["input"] != "")
        running.session.stats.fact(
            loading={"model": "another", "done": None, "total": None, "host": ""}, why=str(Why.TOO_FAR)
        )
        running.controller.tick()
        running.session.stats.fact(loading=None, why="")
        assert running.controller.status()["helped"] is None
    film = FakeSource(itertools.repeat(True), period=0.001, clocked=False)
    with Running(tmp_path, source=film, model__name="fcn_resnet50") as running:
        assert slow.look(running)["helped"] is None


def test_a_network_that_compiles_itself_for_another_input_is_not_called_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = TooLate(monkeypatch, tmp_path)
    monkeypatch.setattr(controlling, "_COMPILES", 0.0)
    with slow.running("fcn_resnet50") as running:
        assert slow.look(running)["helped"] is None


def test_a_lighter_network_that_cannot_be_had_leaves_the_one_before_and_no_other_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = TooLate(monkeypatch, tmp_path, "lraspp_mobilenet_v3_large")
    slow.broken = "lraspp_mobilenet_v3_large"
    with slow.running("fcn_resnet50", "256") as running:
        told = slow.look(running)
        running.until(lambda: running.controller.status()["helped"] is None)
        assert running.setting("model.name") == "fcn_resnet50"
        told = slow.look(running)
        assert "lraspp_mobilenet_v3_large is damaged" in str(told["troubles"])
        assert told["troubles"][0]["what"] == "masks come too late to follow you"
    assert slow.asked == [("fcn_resnet50", 256), ("lraspp_mobilenet_v3_large", 256)]


def test_a_network_that_a_person_chooses_afterwards_has_no_smaller_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = TooLate(monkeypatch, tmp_path)
    with slow.running("fcn_resnet50") as running:
        slow.look(running)
        assert running.setting("model.size") == 160
        running.do("model", "fcn_resnet101")
        assert running.setting("model.size") == "auto"
        running.until(lambda: running.controller.status()["helped"] is None)


def test_masks_that_come_too_late_bring_a_smaller_input_whose_masks_show_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the first network takes for ever after its first masks."""
    slow = TooLate(monkeypatch, tmp_path)
    monkeypatch.setattr(policy, "_OF", 1e9)  # one step
    slow.before, _, go = hold(first=5)
    with Running(tmp_path, model__name="fcn_resnet50", mask__max_age_ms="50", mask__pairing="newest") as running:
        try:
            running.until(lambda: running.controller.status()["helped"] is not None)
            running.until(lambda: running.controller.status()["input"].startswith("160x"))
            composed = running.output.composed
            running.until(lambda: running.output.composed > composed)
        finally:
            go.set()
    assert slow.asked == [("fcn_resnet50", "auto"), ("fcn_resnet50", 160)]
    assert running.output.leaks == 0


def test_another_camera_is_filmed_and_its_size_asked_for(running: Running) -> None:
    assert running.do("camera", "demo") == "camera.source = demo"
    running.until(lambda: running.controller.status()["source_size"] == "1280x720")
    running.do("set", settings={"camera.size": "320x240"})
    running.until(lambda: running.controller.status()["source_size"] == "320x240")
    assert running.controller.status()["source"] == "demo"
    assert running.output.sizes == {SIZE}


def test_an_edit_of_the_file_is_followed_and_its_comments_stay(running: Running) -> None:
    text = '# mine\n[background]\nshow = "#c81e1e"  # red\n'
    running.edit(text)
    running.until(lambda: running.setting("background.show") == "#c81e1e")
    running.shows(RED)
    running.do("background", "blue")
    assert running.config.read_text() == text


def test_a_broken_edit_keeps_the_last_good_settings_and_says_so_until_it_is_fixed(running: Running) -> None:
    running.do("background", "red")
    running.edit("[background\n")
    running.until(lambda: bool(running.controller.status()["config"]["problems"]))
    status = running.controller.status()
    assert str(running.config) in status["config"]["problems"][0]
    assert str(running.config) in status["troubles"][0]["what"]
    running.shows(RED)
    running.edit('[background]\nshow = "/no/such/picture.png"\n')
    running.until(lambda: "picture" in str(running.controller.status()["config"]["problems"]))
    running.shows(RED)
    running.edit('[background]\nshow = "#1e1ec8"\n')
    running.until(lambda: not running.controller.status()["config"]["problems"])
    running.shows(BLUE)


def test_kept_masks_of_a_clip_are_refused_from_the_file_too(running: Running) -> None:
    """They would show the room."""
    asked: list[Network] = []

    def think(network: Network) -> None:
        asked.append(network)

    running.session.set_network = think  # type: ignore[method-assign]
    running.edit('[model]\nname = "truth:masks.mkv"\n')
    running.until(lambda: "kept masks" in str(running.controller.status()["config"]["problems"]))
    assert not asked
    assert running.setting("model.name") == "auto"


def test_a_setting_of_the_start_is_accepted_from_the_file_and_changes_nothing_now(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.edit('[output]\nsize = "320x240"\nmirror = true\n')
    with caplog.at_level("INFO"):
        running.until(lambda: running.setting("output.mirror") is True)
    assert "output.size takes effect at the next start" in caplog.text
    assert running.output.sizes == {SIZE}


def test_each_change_wakes_who_listens_and_figures_do_not(running: Running) -> None:
    running.output.wait(lambda: running.output.composed > 3)
    woken = threading.Event()
    # What is done to the mask follows the load, which is a change.
    running.do("set", settings={"mask.pairing": "newest", "mask.preset": "balanced"})
    running.until(lambda: running.session.stats.get("pairing") == "newest")
    enough = running.controller.listen(woken.set)
    before = running.controller.revision()
    running.do("background", "red")
    assert woken.is_set()
    assert running.controller.revision() > before
    enough()
    woken.clear()
    running.do("background", "blue")
    assert not woken.is_set()
    rest = running.controller.revision()
    running.output.more(5)
    assert running.controller.revision() == rest


def test_a_trouble_is_kept_after_it_is_over(running: Running) -> None:
    running.session.stats.fact(problem="the cat sits on it; take it away")
    running.controller.tick()
    assert running.controller.status()["troubles"][0] | {"at": 0} == {
        "at": 0,
        "what": "the cat sits on it",
        "fix": "take it away",
        "now": True,
    }
    running.output.composes(3)
    running.session.stats.fact(problem="")
    before = running.controller.revision()
    running.controller.tick()
    assert running.controller.status()["troubles"][0]["now"] is False
    assert running.controller.revision() > before, "who watches the status hears of it"


def decoded(image: bytes) -> np.ndarray[Any, Any]:
    """BGR."""
    picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def test_the_preview_is_what_went_out_or_its_mask(running: Running) -> None:
    running.do("background", "red")
    running.shows(RED)
    running.output.wait(lambda: not running.output.kinds[-1])
    preview = running.controller.preview(0, 32)
    assert preview is not None
    shown = decoded(preview.image)
    assert shown.shape == (24, 32, 3)
    assert np.abs(shown[0, 0, ::-1].astype(int) - RED).max() < 30
    assert running.controller.preview(10**9, 32) is None
    mask = running.controller.preview(0, 640, mask=True)
    assert mask is not None
    alpha = decoded(mask.image)
    assert alpha.shape[:2] == (SIZE.height, SIZE.width)
    assert alpha.max() > 240
    assert alpha.min() < 15
    assert decoded(running.controller.snapshot()).shape == (SIZE.height, SIZE.width, 3)


def test_the_previews_mask_is_mirrored_with_the_picture(running: Running) -> None:
    running.do("background", "red")
    running.do("mirror", True)
    running.shows(RED)
    running.output.composes(3)
    picture, mask = running.controller.preview(0, 640), running.controller.preview(0, 640, mask=True)
    assert picture is not None
    assert mask is not None
    alpha = decoded(mask.image)[..., 0] > 127
    person = np.abs(decoded(picture.image)[..., ::-1].astype(int) - RED).max(-1) > 60
    assert np.mean(alpha == person) > 0.97


def test_pickers_are_told_what_there_is(running: Running) -> None:
    running.do("background", "red")
    choices = running.controller.choices()
    assert [entry["label"] for entry in choices["backgrounds"]] == ["blue", "green", "red"]
    assert {"spec", "name", "label", "kind", "broken", "removable"} == choices["backgrounds"][0].keys()
    models = {entry["spec"]: entry for entry in choices["models"]}
    assert "13 MB" in models["lraspp_mobilenet_v3_large"]["cost"]
    assert [spec for spec, entry in models.items() if entry["now"]] == ["auto"]
    assert [entry["name"] for entry in choices["presets"]] == ["auto", "none", "fast", "balanced", "fine"]
    assert choices["virtual"]["there"]


def test_who_wants_an_end_gets_one(running: Running) -> None:
    running.do("welcomed")
    assert running.controller.status()["welcomed"]
    running.do("quit")
    assert running.controller.quit.is_set()
    assert running.controller.report() == "all is well"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=3), st.none() | VERBS, JSON)
def test_whatever_is_asked_is_done_or_refused_in_one_line(
    running: Running, raw: dict[str, Any], verb: str | None, to: object
) -> None:
    said: list[str] = []
    try:
        said.append(running.controller.do(raw | {"do": verb, "to": to} if verb else raw))
    except ConfigError as exc:
        said += exc.problems
    except VbgcamError as exc:
        said.append(str(exc))
    assert said
    assert "\n" not in "".join(said)
    assert not running.session.ended()
    assert running.output.leaks == 0 or running.setting("background.show") != "#3b4a57"


def test_changes_from_all_sides_at_once_leave_one_good_state(running: Running) -> None:
    """Eight people at eight panels."""
    wrong: list[Exception] = []

    def person(number: int) -> None:
        try:
            for turn in range(12):
                running.do("background", ("red", "green", "blue")[(number + turn) % 3])
                running.do("mirror")
                running.do("preset", ("fast", "none")[turn % 2])
                running.controller.status()
        except Exception as exc:  # whatever it is, the test has to see it
            wrong.append(exc)

    people = [threading.Thread(target=person, args=(number,)) for number in range(8)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert not wrong
    shown = running.setting("background.show")
    running.shows({"red.png": RED, "green.png": GREEN, "blue.png": BLUE}[Path(str(shown)).name])
    assert running.output.leaks == 0
    assert running.setting("output.mirror") is False

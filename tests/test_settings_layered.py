"""control.layers and control.state: which of a setting's values is in force, and what is remembered of them."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbgcam.core.errors import ConfigError
from vbgcam.settings import reading
from vbgcam.settings.layered import LayeredSettings
from vbgcam.settings.schema import Settings
from vbgcam.settings.state import RememberedState


class Home:
    """A user's config and state."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config.toml"
        self.state = folder / "state" / "state.json"

    def write(self, text: str) -> None:
        self.config.write_text(text)

    def start(self, **overrides: str) -> tuple[LayeredSettings, RememberedState]:
        """A new run."""
        state = RememberedState(self.state)
        return LayeredSettings(
            self.config, {name.replace("__", "."): text for name, text in overrides.items()}, state
        ), state

    def again(self, state: RememberedState, **overrides: str) -> LayeredSettings:
        """The run after the one whose state this is."""
        state.save(at_once=True)
        return self.start(**overrides)[0]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.write('[background]\nshow = "#111111"\n')
    return home


def choose(layers: LayeredSettings, **values: object) -> None:
    named = {name.replace("__", "."): value for name, value in values.items()}
    layers.choose(named, reading.changed(layers.settings, named))


def edited(layers: LayeredSettings) -> Settings | None:
    """As the running program looks at the file: once it has changed, and once more when it rests."""
    first = layers.reread()
    return first if first is not None else layers.reread()


def test_a_choice_wins_over_the_file_and_is_remembered(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7", output__mirror=True)
    again = home.again(state)
    assert again.settings.background.show == "blur:0.7"
    assert again.settings.output.mirror
    assert home.config.read_text() == '[background]\nshow = "#111111"\n'


def test_the_command_line_wins_over_what_was_remembered_and_not_over_a_choice_of_this_run(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7")
    again = home.again(state, background__show="#222222")
    assert again.settings.background.show == "#222222"
    choose(again, background__show="#333333")
    assert again.settings.background.show == "#333333"


def test_an_edit_after_the_choice_wins_at_the_next_start(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7", output__mirror=True)
    home.write('[background]\nshow = "#444444"\n')
    again = home.again(state)
    assert again.settings.background.show == "#444444"
    assert again.settings.output.mirror, "which was not edited"


def test_an_edit_while_it_runs_wins_over_the_choice_before_it(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7")
    assert edited(layers) is None
    home.write('# my own words\n[background]\nshow = "#444444"\n')
    wanted = edited(layers)
    assert wanted is not None
    assert wanted.background.show == "#444444"
    assert layers.settings.background.show == "blur:0.7", "it is not in force before it is accepted"
    layers.settings = wanted
    again = home.again(state)
    assert again.settings.background.show == "#444444"


def test_what_stands_in_for_a_choice_stays_through_an_edit_elsewhere_and_is_not_remembered(home: Home) -> None:
    """A picture that is not there now may be there the next time."""
    layers, state = home.start()
    choose(layers, background__show="/media/beach.jpg")
    state.save(at_once=True)
    again, state = home.start()
    usual = {"background.show": "#222222"}
    again.choose(usual, reading.changed(again.settings, usual), remember=False)
    assert again.settings.background.show == "#222222"
    home.write('[background]\nshow = "#111111"\n[output]\nmirror = true\n')
    wanted = edited(again)
    assert wanted is not None
    assert wanted.background.show == "#222222"
    assert wanted.output.mirror
    assert home.again(state).settings.background.show == "/media/beach.jpg"


def test_a_choice_that_is_taken_back_leaves_the_one_before_it(home: Home) -> None:
    layers, _ = home.start()
    choose(layers, background__show="blur:0.7")
    take_back = layers.choose({"background.show": "#333333", "output.mirror": True}, layers.settings)
    for name in ("background.show", "output.mirror"):
        take_back(name)
    home.write('[background]\nshow = "#111111"\nfit = "contain"\n')
    wanted = edited(layers)
    assert wanted is not None
    assert wanted.background.show == "blur:0.7"
    assert not wanted.output.mirror


def test_a_file_that_is_being_written_is_not_read(home: Home) -> None:
    layers, _ = home.start()
    home.write('[background]\nshow = "#4')
    assert layers.reread() is None
    home.write('[background]\nshow = "#444444"\n')
    assert layers.reread() is None
    assert layers.problems == ()
    wanted = layers.reread()
    assert wanted is not None
    assert wanted.background.show == "#444444"


@pytest.mark.parametrize("text", ["[backgrund]\n", "show = ", '[background]\nshow = "blur:7"\n', "\0"])
def test_a_broken_edit_changes_nothing_and_says_what_is_wrong(home: Home, text: str) -> None:
    layers, _ = home.start()
    home.write(text)
    assert edited(layers) is None
    assert layers.problems
    assert str(home.config) in layers.problems[0]
    assert layers.settings.background.show == "#111111"
    home.write('[background]\nshow = "#555555"\n')
    wanted = edited(layers)
    assert wanted is not None
    assert layers.problems == ()


def test_a_file_that_goes_away_is_said_where_it_was_named(home: Home) -> None:
    layers, _ = home.start()
    home.config.unlink()
    assert edited(layers) is None
    assert "no such config file" in layers.problems[0]


def test_the_users_own_file_may_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    layers = LayeredSettings(None, {}, RememberedState(tmp_path / "state.json"))
    layers.path.parent.mkdir(parents=True)
    layers.path.write_text("[output]\nmirror = true\n")
    wanted = edited(layers)
    assert wanted is not None
    assert wanted.output.mirror
    layers.settings = wanted
    layers.path.unlink()
    wanted = edited(layers)
    assert wanted is not None
    assert not wanted.output.mirror


def test_who_chooses_what_the_file_says_has_chosen_nothing(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7")
    choose(layers, background__show="#111111")
    state.save(at_once=True)
    home.write('[background]\nshow = "#666666"\n')
    assert home.start()[0].settings.background.show == "#666666"


def test_the_state_is_the_users_alone_and_written_when_it_changed(home: Home) -> None:
    now = [0.0]
    state = RememberedState(home.state, lambda: now[0])
    state.save()
    assert not home.state.exists()
    state.welcomed = True
    state.save()
    assert stat.S_IMODE(home.state.stat().st_mode) == 0o600
    written = home.state.stat().st_mtime_ns
    state.paused = True
    state.save()
    assert home.state.stat().st_mtime_ns == written, "half a second lies between two writings"
    now[0] = 1.0
    state.save()
    assert RememberedState(home.state).paused


def test_a_state_that_cannot_be_kept_is_said_once(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    state = RememberedState(home.state)
    home.state.parent.write_text("no folder")
    for welcomed in (True, False, True):
        state.welcomed = welcomed
        state.save(at_once=True)
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith(f"{home.state}: what was chosen cannot be kept: ")


@given(st.binary(max_size=200) | st.from_type(dict[str, int]).map(lambda value: json.dumps(value).encode()))
def test_whatever_the_state_file_holds_the_program_starts(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.json"
    path.write_bytes(data)
    assert RememberedState(path).choices(Settings()) == {}


@pytest.mark.parametrize(
    "chosen",
    [
        {"mask.preset": {"to": "finest", "over": "auto"}},
        {"mask.nothing": {"to": 1, "over": 2}},
        {"mask": {"to": 1, "over": 2}},
        {"output.mirror": {"to": True}},
        {"output.mirror": True},
        {"output.mirror.x": {"to": True, "over": False}},
        ["output.mirror"],
    ],
)
def test_remembered_choices_that_mean_nothing_here_are_forgotten(home: Home, chosen: object) -> None:
    home.state.parent.mkdir()
    home.state.write_text(json.dumps({"chosen": chosen}))
    layers, _ = home.start()
    assert layers.settings.background.show == "#111111"
    assert layers.settings.mask.preset == "auto"


@pytest.mark.parametrize("show", ["blur:0.05", "blur:0.5", "none"])
def test_what_shows_the_room_is_not_restored_from_a_state_of_whatever_origin(
    home: Home, caplog: pytest.LogCaptureFixture, show: str
) -> None:
    home.state.parent.mkdir()
    home.state.write_text(json.dumps({"chosen": {"background.show": {"to": show, "over": "#111111"}}}))
    layers, state = home.start()
    assert layers.settings.background.show == "#111111"
    state.save(at_once=True)
    assert show not in home.state.read_text()
    said = [record.message for record in caplog.records]
    assert said == [] if show == "none" else ["use at least blur:0.7" in line for line in said] == [True]


def test_a_weak_blur_in_the_file_is_refused_at_the_start_and_while_it_runs(home: Home) -> None:
    layers, _ = home.start()
    home.write('[background]\nshow = "blur:0.3"\n')
    assert edited(layers) is None
    assert ["use at least blur:0.7" in problem for problem in layers.problems] == [True]
    with pytest.raises(ConfigError, match=r"config.toml: background.show: .* use at least blur:0.7"):
        home.start()


def test_the_room_as_it_is_holds_for_this_run_alone(home: Home) -> None:
    layers, state = home.start()
    choose(layers, background__show="blur:0.7")
    choose(layers, background__show="none")
    assert layers.settings.background.show == "none"
    assert home.again(state).settings.background.show == "blur:0.7", "the choice before it"

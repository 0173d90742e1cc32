"""control.commands: what comes over the port is one of the commands, or one line that says what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from vbgcam.control import commands, verb
from vbgcam.core.errors import ControlError


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        ({"do": "background", "to": "next"}, commands.SetBackground(do="background", to="next")),
        ({"do": "blur", "to": 1}, commands.Blur(do="blur", to=1.0)),
        ({"do": "mirror"}, commands.Mirror(do="mirror", to=None)),
        ({"do": "mirror", "to": False}, commands.Mirror(do="mirror", to=False)),
        ({"do": "pause"}, commands.Simple(do="pause")),
        ({"do": "set", "settings": {"a.b": 1}}, commands.Set(do="set", settings={"a.b": 1})),
    ],
)
def test_commands_are_understood(raw: dict[str, Any], parsed: commands.Command) -> None:
    assert commands.parse(raw) == parsed


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "there is no command None"),
        ({"do": "puase"}, "there is no command 'puase'; did you mean 'pause'?"),
        ({"do": ["pause"]}, r"there is no command \['pause'\]"),
        ({"do": "blur", "to": "much"}, "blur: to should be a valid number"),
        ({"do": "background"}, "background: to required"),
        ({"do": "background", "to": "x" * 5000}, "background: to String should have at most 4096"),
        ({"do": "pause", "now": True}, "pause: now "),
        ({"do": "pause", "now\nthen": True}, "pause: now then "),
        ({"do": "mirror", "to": "yes"}, "mirror: to should be a valid boolean"),
        ({"do": "set", "settings": {}}, "set: settings "),
        ({"do": "set", "settings": {"a.b": [1]}}, "set: settings.a.b"),
    ],
)
def test_what_is_none_of_them_is_named(raw: dict[str, Any], said: str) -> None:
    with pytest.raises(ControlError, match=said):
        commands.parse(raw)


@pytest.mark.parametrize("text", ["next", "last", "none", "blur", "blur:0.7", "#204060", "Beach", "blurry.jpg"])
def test_a_verb_sends_the_whole_path_of_a_file_that_is_here(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "blurry.jpg").touch()
    assert verb._from_here(text) == (str(tmp_path / text) if text == "blurry.jpg" else text)

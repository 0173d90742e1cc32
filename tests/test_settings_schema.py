"""config: defaults, the file, the command line, and all mistakes at once."""

import tomllib
from pathlib import Path

import pytest

from vbgcam.core.errors import ConfigError
from vbgcam.settings import reading, schema

ROOT = Path(__file__).resolve().parents[1]

TEN_MISTAKES = """
[camera]
source = "camra:0"
size = "1281x720"
fps = -2
formt = "auto"
[modle]
name = "x"
[model]
name = "fcn_resnet110"
device = "gpuu"
size = "big"
[background]
show = "#12"
fit = "fill"
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "default_path", lambda: tmp_path / "home" / "config.toml")


def test_the_example_file_is_the_defaults_and_explains_every_key() -> None:
    text = (ROOT / "config.example.toml").read_text()
    assert text == schema.example(), "run: vbgcam config example > config.example.toml"
    assert tomllib.loads(text) == schema.Settings().model_dump()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


def test_no_file_gives_the_defaults() -> None:
    assert reading.load() == schema.Settings()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[camera]\nfps = 15\nsize = "640x480"\n')
    settings = reading.load(file, {"camera.fps": "25", "output.mirror": "true", "background.show": "#102030"})
    assert (settings.camera.fps, settings.camera.size) == (25, "640x480")
    assert settings.output.mirror
    assert settings.background.show == "#102030"


def test_what_is_described_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    settings = reading.load(None, {"camera.source": 'file:a "b" \\ ü.mp4', "mask.max_age_ms": "250"})
    file = tmp_path / "a.toml"
    file.write_text(schema.describe(settings), encoding="utf-8")
    assert reading.load(file) == settings


def test_ten_mistakes_are_ten_lines_each_with_file_key_value_and_fix(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(TEN_MISTAKES)
    with pytest.raises(ConfigError) as caught:
        reading.load(file)
    problems = caught.value.problems
    assert len(problems) == 10
    assert all(problem.startswith(f"{file}: ") and "\n" not in problem for problem in problems)
    for part in (
        "camera.source: source 'camra:0'",
        "did you mean 'camera'",
        "'1281x720': both sides are even",
        "camera.fps = -2: should be greater than 0",
        "'camera.formt'; did you mean 'camera.format'",
        "section 'modle'; did you mean 'model'",
        "did you mean 'fcn_resnet101'",
        "model.device: device 'gpuu' is none of",
        "model.size: 'big' is neither auto nor a whole number of pixels from 32 to 4096",
        "background '#12': a colour is written #rrggbb",
        "background.fit = \"fill\": should be 'cover', 'contain' or 'stretch'",
    ):
        assert any(part in problem for problem in problems), part


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (
            {"output.mirro": "true"},
            "--set output.mirro=true: there is no setting 'output.mirro'; did you mean 'output.mirror'?",
        ),
        ({"mirror": "true"}, "no setting 'mirror'"),
        ({"output.mirror": "yes"}, 'command line: output.mirror = "yes": should be a valid boolean'),
        ({"camera.size": "auto"}, "'auto' is not a size like 1280x720"),
        ({"model.sha256": "abc"}, "64 hexadecimal digits"),
        ({"mask.max_age_ms": "NaN"}, "mask.max_age_ms"),
        ({"mask.pairing": "best"}, "mask.pairing = \"best\": should be 'auto', 'exact' or 'newest'"),
        (
            {"model.size": "0"},
            "command line: model.size: 0 is neither auto nor a whole number of pixels from 32 to 4096",
        ),
        ({"model.size": "true"}, "model.size: True is neither"),
        ({"model.size": "288.5"}, "model.size: 288.5 is neither"),
    ],
)
def test_mistakes_on_the_command_line_name_it(overrides: dict[str, str], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reading.load(None, overrides)
    assert part in str(caught.value)


@pytest.mark.parametrize(("text", "size"), [("288", 288), ("auto", "auto"), ("32", 32), ("4096", 4096)])
def test_the_networks_input_is_a_number_or_auto(text: str, size: int | str, tmp_path: Path) -> None:
    settings = reading.load(None, {"model.size": text})
    assert settings.model.size == size
    file = tmp_path / "again.toml"
    file.write_text(schema.describe(settings))
    assert reading.load(file) == settings


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vbgcam config example >"):
        reading.load(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"[camera", b"\xff\xfe", b"camera = 3", b"[camera]\nfps = 1\nfps = 2"])
def test_what_is_no_toml_or_no_table_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        reading.load(file)
    assert len(caught.value.problems) == 1
    assert str(file) in str(caught.value)

"""parts: what the settings come to."""

from dataclasses import replace
from pathlib import Path

import pytest

from vbgcam import factory
from vbgcam.core.options import PRESETS, Key, MaskOptions
from vbgcam.pixels.convert import color_yuv
from vbgcam.settings.reading import load
from vbgcam.settings.schema import Settings


def settings(**overrides: str) -> Settings:
    return load(overrides={name.replace("__", "."): text for name, text in overrides.items()})


@pytest.fixture(autouse=True)
def nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_a_green_screens_light_is_taken_out_unless_colours_are_off() -> None:
    def key(**names: str) -> Key | None:
        return factory.render_options(settings(**names)).key

    assert key(model__name="chroma:#00b140") == color_yuv((0, 177, 64))[1:]
    assert key(model__name="chroma:#00b140", mask__preset="none") is not None
    assert key(model__name="chroma:#00b140", mask__colours="off") is None
    assert key(model__name="plate") is None


def test_a_switch_stands_above_the_preset() -> None:
    def mask(**names: str) -> MaskOptions:
        return factory.render_options(settings(**names)).mask

    assert mask(mask__preset="balanced", mask__memory="off") == replace(PRESETS["balanced"], room_model=False)
    assert mask(mask__preset="none", mask__time="on") == MaskOptions(temporal=True)
    assert mask(mask__preset="balanced").foreground
    assert not mask(mask__preset="balanced", model__hard="true").any

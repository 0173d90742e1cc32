"""parts: what the settings come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbgcam import factory
from vbgcam.pixels.convert import color_yuv
from vbgcam.settings.reading import load
from vbgcam.settings.schema import Settings


def settings(**overrides: str) -> Settings:
    return load(overrides={name.replace("__", "."): text for name, text in overrides.items()})


@pytest.fixture(autouse=True)
def nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_a_green_screens_light_is_taken_out_unless_colours_are_off() -> None:
    assert factory.key(settings(model__name="chroma:#00b140")) == color_yuv((0, 177, 64))[1:]
    assert factory.key(settings(model__name="chroma:#00b140", mask__preset="none")) is not None
    assert factory.key(settings(model__name="chroma:#00b140", mask__colours="off")) is None
    assert factory.key(settings(model__name="plate")) is None


def test_a_switch_stands_above_the_preset() -> None:
    assert factory.steps(settings(mask__preset="balanced", mask__memory="off")).memory is False
    assert factory.steps(settings(mask__preset="none", mask__time="on")).time is True
    assert factory.steps(settings(mask__preset="balanced")).colours is True

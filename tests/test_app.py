"""app: from settings to the pieces of a run."""

from __future__ import annotations

import pytest

from vbgcam import app, config
from vbgcam.live.pairing import Asked


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path_factory.mktemp("home") / "config.toml"
    monkeypatch.setattr(config, "default_path", lambda: path)


def settings(**overrides: str) -> config.Settings:
    given = {name.replace("_", ".", 1): value for name, value in overrides.items()}
    return config.load(None, {"camera.source": "demo", "output.sink": "null", **given})


@pytest.mark.parametrize(("text", "size", "auto"), [("auto", None, True), ("288", 288, False)])
def test_the_networks_input_is_fixed_by_a_number_and_found_otherwise(text: str, size: int | None, auto: bool) -> None:
    given = settings(model_size=text)
    assert app.options(given).size == app.options(given, live=True).size == size
    assert app.plan(given).size_auto == auto


@pytest.mark.parametrize("pairing", ["auto", "exact", "newest"])
def test_the_pairing_that_was_asked_for_is_the_plans(pairing: Asked) -> None:
    assert app.plan(settings(mask_pairing=pairing)).pairing == pairing


def test_the_age_of_masks_is_limited_in_seconds() -> None:
    assert app.plan(settings(mask_max_age_ms="250")).limits.mask_age == 0.25

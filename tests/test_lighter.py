"""control.lighter: what makes masks sooner, of what is on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import control_fakes
from vbgcam import factory
from vbgcam.control import lighter, verb
from vbgcam.control.lighter import Lighter, advice
from vbgcam.segment.weights import published_file
from vbgcam.settings import reading
from vbgcam.settings.schema import Settings

MEET, SELFIE, LRASPP, MOBILE, FCN, FCN_101 = (
    "meet",
    "selfie",
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "fcn_resnet50",
    "fcn_resnet101",
)


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def here(*names: str) -> None:
    """The files of these lie on the disk."""
    for name in names:
        path = published_file(name, factory.options(Settings())).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def chosen(**model: object) -> Settings:
    return reading.changed(Settings(), {f"model.{name}": value for name, value in model.items()})


def to(settings: Settings, working: str, used: str) -> dict[str, object] | None:
    found = lighter.lighter(settings, working, used, None)
    return None if found is None else dict(found.to)


@pytest.mark.parametrize(
    ("used", "size"),
    [("256x455", 160), ("520x924", 352), ("128x228", 96), ("455x256", 160), ("160x160", 96), ("100x177", 96)],
)
def test_a_smaller_input_is_half_the_work_or_the_smallest(used: str, size: int) -> None:
    here(LRASPP)
    assert to(chosen(name=FCN), FCN, used) == {"model.size": size}


@pytest.mark.parametrize(
    ("working", "there", "name"),
    [
        (FCN, (LRASPP, MOBILE), LRASPP),
        (FCN, (MOBILE, FCN, FCN_101), MOBILE),
        (FCN_101, (FCN, FCN_101), FCN),
        (FCN, (FCN, FCN_101), None),
        (LRASPP, (LRASPP, MOBILE), None),
        (LRASPP, (SELFIE, LRASPP), SELFIE),
        (SELFIE, (MEET, SELFIE, LRASPP), MEET),
        (SELFIE, (SELFIE, LRASPP), None),
        (MEET, (MEET, SELFIE), None),
        (FCN, (), None),
    ],
)
@pytest.mark.parametrize("auto", [True, False])
def test_at_the_smallest_input_the_lightest_network_that_is_here_is_taken(
    working: str, there: tuple[str, ...], name: str | None, auto: bool
) -> None:
    here(*there)
    settings = chosen(name="auto" if auto else working)
    assert to(settings, working, "96x171") == (None if name is None else {"model.name": name})


def test_a_size_that_a_person_chose_stays() -> None:
    here(LRASPP)
    assert to(chosen(name=FCN, size=256), FCN, "256x455") == {"model.name": LRASPP}
    assert to(chosen(name=LRASPP, size=256), LRASPP, "256x455") is None
    assert "`vbgcam set model.size=auto`" in advice(chosen(name=LRASPP, size=256), LRASPP)


def test_a_network_of_ones_own_gives_way_to_the_lightest_alone() -> None:
    settings = chosen(name="onnx:mine.onnx")
    here(MOBILE, LRASPP)
    assert to(settings, "onnx:mine.onnx", "256x256") is None
    here(SELFIE)
    assert to(settings, "onnx:mine.onnx", "256x256") == {"model.name": SELFIE}


@pytest.mark.parametrize("name", ["auto", SELFIE])
def test_a_network_of_one_size_is_not_given_a_smaller_input(name: str) -> None:
    assert to(chosen(name=name), SELFIE, "256x256") is None
    here(MEET)
    assert to(chosen(name=name), SELFIE, "256x256") == {"model.name": MEET}


@pytest.mark.parametrize("name", ["chroma", "plate"])
def test_what_is_no_network_has_no_lighter_one(name: str) -> None:
    here(LRASPP)
    assert to(chosen(name=name), name, "") is None
    assert advice(chosen(name=name), name) == "close other programs"


def test_the_hash_of_ones_own_weights_is_not_asked_of_others() -> None:
    here(LRASPP)
    settings = chosen(name=FCN, sha256="0" * 64)
    assert to(settings, FCN, "96x171") == {"model.name": LRASPP, "model.sha256": ""}


def test_several_steps_lead_back_in_one() -> None:
    here(LRASPP)
    settings, last = chosen(name="auto"), None
    told: list[tuple[object, object]] = []
    for working, used in ((FCN_101, "160x284"), (FCN_101, "96x171"), (LRASPP, "128x228")):
        found = lighter.lighter(settings, working, used, last)
        assert isinstance(found, Lighter)
        settings, last = reading.changed(settings, found.to), found
        assert found.in_force(settings)
        assert reading.changed(settings, found.before) == chosen(name="auto")
        told.append((found.told()["from"], found.told()["to"]))
    assert told == [
        ("FCN, ResNet-101 (input auto)", "FCN, ResNet-101 (input 96)"),
        ("FCN, ResNet-101", "LR-ASPP, MobileNetV3"),
        ("FCN, ResNet-101 (input auto)", "LR-ASPP, MobileNetV3 (input 96)"),
    ]
    assert lighter.lighter(settings, LRASPP, "96x171", last) is None
    assert last is not None
    assert not last.in_force(chosen(name="auto"))
    before, after = told[-1]
    assert last.told() == {
        "from": before,
        "to": after,
        "why": f"{before} was too slow to follow you: {after} is used instead",
        "back": {"model.name": "auto", "model.size": "auto"},
    }


def test_what_a_person_can_do() -> None:
    assert advice(chosen(), SELFIE) == advice(chosen(name=MEET), MEET) == "close other programs"
    lighter_one = "close other programs, or choose a lighter network with `vbgcam model selfie`"
    assert advice(chosen(name=FCN), FCN) == lighter_one
    assert advice(chosen(name="onnx:mine.onnx"), "onnx:mine.onnx") == lighter_one


def test_the_status_has_the_command_that_goes_back() -> None:
    settings = chosen(name="onnx:my own.onnx")
    here(SELFIE)
    found = lighter.lighter(settings, "onnx:my own.onnx", "256x256", None)
    assert found is not None
    [line] = [line for line in verb._lines(control_fakes.status() | {"helped": found.told()}) if "helped" in line]
    assert line.endswith(" is used instead; `vbgcam set 'model.name=onnx:my own.onnx'` goes back")

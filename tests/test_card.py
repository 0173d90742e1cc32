"""segment.card: what a card may say, every mistake in it, and how a network's card is found."""

import hashlib
import tempfile
from pathlib import Path

import pytest

from tests.support.networks import FULL_CARD
from vbgcam.core.errors import ModelError
from vbgcam.core.specs import PORTRAIT_MODELS
from vbgcam.segment import card as cards
from vbgcam.segment.card import Card, CardInput, CardOutput, CardState, find, read, shipped
from vbgcam.segment.catalogue import CATALOGUE


def parse(text: str) -> Card:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "here.toml"
        path.write_text(text, encoding="utf-8", newline="")
        return read(path)


def test_every_key_is_understood() -> None:
    assert parse(FULL_CARD) == Card(
        name="full",
        about="every key",
        sha256=("00",),
        inputs=("src", "r1i", "ratio"),
        input=CardInput(
            name="src",
            short_side=512,
            multiple_of=32,
            layout="NHWC",
            color="BGR",
            mean=(0.5, 0.25, 0.125),
            std=(1, 2, 3),
        ),
        output=CardOutput(name="pha", channel=1, layout="NHWC", activation="sigmoid"),
        state={"r1i": CardState(output="r1o"), "r2i": CardState(output="r2o", shape=(1, 16, 4, 4))},
        constants={"ratio": (0.5,), "sides": (1, 2)},
        scales={"reduced": 512},
    )


def test_a_name_is_enough_where_the_first_input_and_output_are_meant() -> None:
    assert parse('name = "a"') == Card(name="a")


def wrong(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        parse(text)
    said = str(caught.value)
    assert "here.toml" in said
    assert len(said.splitlines()) == 1
    assert len(said) < 1500
    return said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name = 3 x", "is no TOML"),
        ("", "name is missing"),
        ('name = "a"\n[inptu]\nsize = [8, 8]', "there is no 'inptu'; did you mean 'input'?"),
        ('name = "a"\n[input]\nlayuot = "NHWC"', "there is no 'input.layuot'; did you mean 'input.layout'?"),
        ('name = "a"\n[input]\nlayout = "HWC"', "input.layout = 'HWC': should be 'NHWC' or 'NCHW'"),
        ('name = "a"\n[input]\nsize = [0, 8]', "input.size.0 = 0"),
        ('name = "a"\n[input]\nsize = [8, 9000]', "input.size.1 = 9000"),
        ('name = "a"\n[input]\nmean = [0, 0, 0]', "mean and std go together"),
        ('name = "a"\n[input]\nrange = [0, 1]\nmean = [0, 0, 0]\nstd = [1, 1, 1]', "either range, or mean and std"),
        ('name = "a"\n[input]\nrange = [0, inf]', "input.range.1 = inf"),
        ('name = "a"\n[input]\nrange = [nan, 1]', "input.range.0 = nan"),
        ('name = "a"\ninput = 3', "input = 3: should be a valid dictionary"),
        ('name = "a"\n[state]\nr = { output = "s", shape = [4096, 4096, 4096] }', "more than 64 million values"),
        ('name = "a"\n[constants]\nx = "y"', "constants.x.0 = 'y': should be a valid number"),
        ("name = 'a'\n[input]\nlayout = '" + "x" * 50000 + "'", "xxx...: should be"),
        ("name = 'a'\n" + "".join(f"k{number} = 1\n" for number in range(3000)), "there is no 'k0'"),
        ("a = " + "[" * 20000, "is no TOML"),
        ("a = " + "9" * 6000, "is no TOML"),
    ],
)
def test_a_mistake_is_one_line_with_the_key_and_the_fix(text: str, part: str) -> None:
    assert part in wrong(text)


def test_all_mistakes_are_said_at_once() -> None:
    said = wrong(
        '[input]\ncolour = "RGB"\nshort_side = 2\nlayout = "NWHC"\n'
        '[output]\nactivation = "relu"\nchannel = -1\nchanel = 1\n'
    )
    for part in (
        "name is missing",
        "did you mean 'input.color'",
        "input.short_side = 2",
        "input.layout = 'NWHC'",
        "output.activation = 'relu'",
        "output.channel = -1",
        "did you mean 'output.channel'",
    ):
        assert part in said


def test_a_file_that_is_no_text_or_too_large_or_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8"):
        read(path)
    path.write_text("#" * 70_000)
    with pytest.raises(ModelError, match="too large: more than 64 KiB"):
        read(path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        read(tmp_path)


def test_the_card_beside_the_file_comes_before_the_shipped_ones(tmp_path: Path) -> None:
    network = tmp_path / "net.onnx"
    network.write_bytes(b"")
    signature = ("src", "r1i", "r2i", "r3i", "r4i", "downsample_ratio")
    found = find(network, signature)
    assert found is not None
    assert found.name == "robust_video_matting"
    (tmp_path / "net.toml").write_text('name = "short"')
    found = find(network, signature)
    assert found is not None
    assert found.name == "short"
    (tmp_path / "net.onnx.toml").write_text('name = "long"')
    found = find(network, signature)
    assert found is not None
    assert found.name == "long"


def test_a_card_is_found_by_the_files_hash_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tmp_path / "renamed.onnx"
    network.write_bytes(b"weights")
    mine = Card(name="mine", sha256=(hashlib.sha256(b"weights").hexdigest(),))
    monkeypatch.setattr(cards, "shipped", lambda: (Card(name="other", inputs=("x",)), mine))
    assert find(network, ("x",)) is mine, "the hash says more than the names of the inputs"
    network.write_bytes(b"Weights")
    assert find(network, ("image",)) is None


def test_a_name_too_long_for_a_card_beside_it_is_no_error(tmp_path: Path) -> None:
    network = tmp_path / ("a" * 248 + ".onnx")
    network.write_bytes(b"")
    assert find(network, ("image",)) is None


def test_shipped_cards_are_right_and_each_has_a_way_to_be_found() -> None:
    named = {card.name: card for card in shipped()}
    assert "deeplabv3_voc21" in named
    assert all(card.sha256 or card.git_blob or card.inputs for card in shipped())
    assert all(len(value) == 64 for card in shipped() for value in card.sha256)
    for name in PORTRAIT_MODELS:
        card, pin = named[CATALOGUE[name].card], CATALOGUE[name].pin
        assert card.inputs or pin.digits in (card.git_blob if pin.git else card.sha256)


def test_a_card_is_found_by_the_id_that_git_gives_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tmp_path / "renamed.onnx"
    network.write_bytes(b"what is up, doc?")
    mine = Card(name="mine", git_blob=("bd9dbf5aae1a3862dd1526723246b20206e5fc37",))
    monkeypatch.setattr(cards, "shipped", lambda: (mine,))
    assert find(network, ("x",)) is mine

"""segment.onnx: networks of known answers, real ones, and whatever else a file may be."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.support.networks import left_half, save
from vbgcam.core.errors import ModelError
from vbgcam.core.frames import Planes, RawFrame, Size
from vbgcam.mask import finish
from vbgcam.media.video_reader import VideoReader
from vbgcam.pixels.convert import color_yuv
from vbgcam.segment import Options, trial
from vbgcam.segment.base import LADDER
from vbgcam.segment.engines.base import Graph, Held
from vbgcam.segment.engines.onnxruntime import OnnxruntimeGraph
from vbgcam.segment.engines.openvino import OpenVinoGraph, read_onnx
from vbgcam.segment.onnx import OnnxSegmenter

RGB = (200, 100, 50)


def frame(rgb: tuple[int, int, int] = RGB, size: Size = Size(32, 24)) -> RawFrame:  # noqa: B008  # a Size is frozen
    return RawFrame(Planes.filled(size, color_yuv(rgb)).frozen(), 0.0)


@pytest.fixture(autouse=True)
def _untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """These files are the tests' own; what a trial is for stands in test_trial."""
    monkeypatch.setattr(trial, "passed", lambda *_args: None)


def echo(path: Path, *, channels_last: bool, side: int | str = 8) -> Path:
    """The answer's channels are what the network was shown, as shown / 512 + 0.5."""
    shape = (1, side, side, 3) if channels_last else (1, 3, side, side)
    nodes = [
        helper.make_node("Mul", ["image", "less"], ["small"]),
        helper.make_node("Add", ["small", "half"], ["seen"]),
    ]
    return save(path, nodes, {"image": shape}, {"seen": shape}, {"less": 1 / 512, "half": 0.5})


def load(path: Path, card: str | None = None, *, hard: bool = False, size: int | None = None) -> OnnxSegmenter:
    if card is not None:
        path.with_suffix(".toml").write_text(card)
    return OnnxSegmenter.load(path, Options(hard=hard, size=size))


def seen(tmp_path: Path, layout: str, table: str, channel: int) -> float:
    path = echo(tmp_path / f"{layout}{channel}.onnx", channels_last=layout == "NHWC")
    card = f'name = "echo"\n[input]\nlayout = "{layout}"\n{table}\n[output]\nlayout = "{layout}"\nchannel = {channel}\n'
    return (float(load(path, card).probability(frame())[4, 4]) - 0.5) * 512


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_layout_colour_order_and_range_reach_the_network_as_the_card_says(
    tmp_path: Path, layout: str, channel: int
) -> None:
    value = RGB[channel] / 255
    step = 2 / 255
    assert seen(tmp_path, layout, "range = [0, 1]", channel) == pytest.approx(value, abs=step)
    assert seen(tmp_path, layout, "range = [-1, 1]", channel) == pytest.approx(2 * value - 1, abs=2 * step)
    assert seen(tmp_path, layout, "range = [0, 255]", channel) == pytest.approx(RGB[channel], abs=2)
    assert seen(tmp_path, layout, 'color = "BGR"', channel) == pytest.approx(RGB[2 - channel] / 255, abs=step)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    table = f"mean = {list(mean)}\nstd = {list(std)}"
    expected = (value - mean[channel]) / std[channel]
    assert seen(tmp_path, layout, table, channel) == pytest.approx(expected, abs=step / std[channel])


def constant(path: Path, logits: list[float]) -> Path:
    """NCHW, any size: the same logits everywhere."""
    return save(
        path,
        [
            helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "logits"], ["out"]),
        ],
        {"image": (1, 3, "h", "w")},
        {"out": (1, len(logits), "h", "w")},
        {"zero": 0.0, "logits": np.reshape(logits, (1, -1, 1, 1))},
    )


CLASSES = 'name = "classes"\n[input]\nshort_side = 8\n[output]\nchannel = 2\nactivation = "softmax"\n'
ODDS = 'name = "odds"\n[input]\nshort_side = 8\n[output]\nactivation = "sigmoid"\n'


def test_softmax_goes_over_the_classes_and_hard_takes_the_largest(tmp_path: Path) -> None:
    path = constant(tmp_path / "a.onnx", [1.0, 2.0, 3.0, 2.5])
    powers = np.exp([1.0, 2.0, 3.0, 2.5])
    assert load(path, CLASSES).probability(frame())[3, 3] == pytest.approx(powers[2] / powers.sum(), abs=1e-6)
    assert (load(path, CLASSES, hard=True).probability(frame()) == 1).all()
    other = constant(tmp_path / "b.onnx", [1.0, 3.5, 3.0, 2.5])
    assert (load(other, CLASSES, hard=True).probability(frame()) == 0).all()


@pytest.mark.parametrize(("logit", "value"), [(0.0, 0.5), (2.0, 0.880797), (-2.0, 0.119203), (1e6, 1.0), (-1e6, 0.0)])
def test_sigmoid_of_one_channel(tmp_path: Path, logit: float, value: float) -> None:
    path = constant(tmp_path / "a.onnx", [logit])
    assert load(path, ODDS).probability(frame())[0, 0] == pytest.approx(value, abs=1e-5)
    assert load(path, ODDS, hard=True).probability(frame())[0, 0] == (value >= 0.5)


def test_a_network_of_any_size_sees_the_frames_shape(tmp_path: Path) -> None:
    path = constant(tmp_path / "a.onnx", [0.0])
    grid = ODDS.replace("short_side = 8", "short_side = 50\nmultiple_of = 16")
    assert load(path, grid).probability(frame(size=Size(1280, 720))).shape == (48, 96)
    assert load(path, grid).probability(frame(size=Size(720, 1280))).shape == (96, 48)
    segmenter = load(path, grid, size=100)
    assert segmenter.probability(frame(size=Size(200, 100))).shape == (96, 192)
    assert (segmenter.input, segmenter.precision) == (Size(192, 96), "fp32")


def counter(path: Path, names: tuple[str, str] = ("r1i", "r1o")) -> Path:
    """Recurrent: the answer is 0.1 per call since the start, plus the constant."""
    before, after = names
    return save(
        path,
        [
            helper.make_node("Add", [before, "tenth"], [after]),
            helper.make_node("ReduceMean", ["src"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", [after, "bias"], ["value"]),
            helper.make_node("Add", ["nothing", "value"], ["pha"]),
        ],
        {"src": (1, 3, "h", "w"), before: (1, "c", "h1", "w1"), "bias": (1,)},
        {"pha": (1, 1, "h", "w"), after: (1, "c", "h2", "w2")},
        {"tenth": 0.1, "zero": 0.0},
    )


RECURRENT = 'name = "r"\n[input]\nname = "src"\nshort_side = 8\n[state]\nr1i = "r1o"\n[constants]\nbias = 0.25\n'


def test_recurrent_state_goes_from_call_to_call_and_starts_anew(tmp_path: Path) -> None:
    network = load(counter(tmp_path / "a.onnx"), RECURRENT)

    def values(count: int, size: Size) -> list[float]:
        return [round(float(network.probability(frame(size=size))[0, 0]), 3) for _ in range(count)]

    assert values(3, Size(32, 24)) == [0.35, 0.45, 0.55]
    network.reset()
    assert values(2, Size(32, 24)) == [0.35, 0.45]
    assert values(1, Size(48, 24)) == [0.35], "a picture of another size has another state"


def test_robust_video_matting_is_known_by_its_inputs(tmp_path: Path) -> None:
    """A look-alike with its names and broadcasting states; no card beside it."""
    states = [f"r{number}" for number in (1, 2, 3, 4)]
    path = save(
        tmp_path / "rvm_mobilenetv3_fp32.onnx",
        [
            *(helper.make_node("Add", [f"{name}i", "one"], [f"{name}o"]) for name in states),
            helper.make_node("Mul", ["src", "downsample_ratio"], ["fgr"]),
            helper.make_node("ReduceMean", ["fgr"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Mul", ["r4o", "tenth"], ["value"]),
            helper.make_node("Add", ["nothing", "value"], ["pha"]),
        ],
        {
            "src": ("batch", 3, "height", "width"),
            **{f"{name}i": ("batch", "c", "h", "w") for name in states},
            "downsample_ratio": (1,),
        },
        {
            "fgr": ("batch", 3, "height", "width"),
            "pha": ("batch", 1, "height", "width"),
            **{f"{name}o": ("batch", "c2", "h2", "w2") for name in states},
        },
        {"one": 1.0, "tenth": 0.1, "zero": 0.0},
    )
    network = load(path)
    answers = [float(network.probability(frame(size=Size(96, 54)))[0, 0]) for _ in range(3)]
    assert answers == pytest.approx([0.1, 0.2, 0.3])


def test_a_scale_reduces_the_picture_to_so_many_pixels(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.onnx",
        [helper.make_node("Mul", ["src", "zero"], ["no"]), helper.make_node("Add", ["no", "ratio"], ["pha"])],
        {"src": (1, 3, "h", "w"), "ratio": (1,)},
        {"pha": (1, 3, "h", "w")},
        {"zero": 0.0},
    )
    network = load(path, 'name = "a"\n[input]\nname = "src"\nshort_side = 90\n[scales]\nratio = 64\n')
    assert network.probability(frame(size=Size(160, 90)))[0, 0] == pytest.approx(64 / 160)
    network.resize(18)
    assert network.probability(frame(size=Size(160, 90)))[0, 0] == 1


def test_an_input_of_any_size_follows_the_load(tmp_path: Path) -> None:
    odds = constant(tmp_path / "a.onnx", [0.0])
    odds.with_suffix(".toml").write_text(ODDS)
    network = OnnxSegmenter.load(odds, Options(live=True))
    assert network.probability(frame(size=Size(1280, 720))).shape == (128, 228)
    sizes = network.sizes(Size(1280, 720))
    assert sizes == LADDER
    network.prepare(sizes[0])
    network.resize(sizes[0])
    assert network.probability(frame(size=Size(1280, 720))).shape == (96, 171)
    fixed = load(left_half(tmp_path / "b.onnx"))
    assert fixed.sizes(Size(1280, 720)) == ()
    with pytest.raises(ModelError, match="fixed"):
        fixed.prepare(96)


def refused(path: Path, card: str | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        load(path, card)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path.parent) in str(caught.value)
    return str(caught.value)


def test_what_is_no_network_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    assert "no such ONNX file" in refused(path)
    for content in (b"a poem", bytes(range(256)) * 40):
        path.write_bytes(content)
        assert "is no ONNX network that can be run: Model can't be parsed" in refused(path)
    path.write_bytes(b"")
    assert "no ONNX network that can be run" in refused(path)
    assert "no such ONNX file" in refused(tmp_path / ("a" * 300))
    assert "no such ONNX file" in refused(tmp_path)


def test_a_network_without_a_card_says_what_to_write(tmp_path: Path) -> None:
    said = refused(echo(tmp_path / "a.onnx", channels_last=True))
    assert "no card" in said
    assert "image [1, 8, 8, 3]" in said
    assert "write a.onnx.toml beside it" in said


@pytest.mark.parametrize(
    ("card", "part"),
    [
        ("", "name is missing"),
        ('name = "a"\n[input]\nlayout = "NHWC"\nsize = [16, 16]\n[output]\nlayout = "NHWC"', "its input is 8x8"),
        ('name = "a"\n[input]\nlayout = "NCHW"', "no 3 channels in NCHW"),
        ('name = "a"\n[input]\nlayout = "NHWC"\nname = "img"', "no input 'img', only image"),
        ('name = "a"\n[input]\nlayout = "NHWC"\n[output]\nname = "alpha"', "no output 'alpha', only seen"),
        ('name = "a"\n[input]\nlayout = "NHWC"\n[output]\nlayout = "NHWC"\nchannel = 3', "there is no channel 3"),
        ('name = "a"\n[input]\nlayout = "NHWC"', "has the shape [1, 8, 8, 3] for an input of 8x8 (layout?)"),
        ('name = "a"\n[input]\nlayout = "NHWC"\n[state]\nr = "s"', "no input 'r'"),
        ('name = "a"\n[input]\nlayout = "NHWC"\n[state]\nimage = "s"', "no output 's'"),
        ('name = "a"\n[input]\nlayout = "NHWC"\n[constants]\nratio = 1', "no input 'ratio'"),
    ],
)
def test_a_card_that_does_not_fit_the_network_is_one_line(tmp_path: Path, card: str, part: str) -> None:
    assert part in refused(echo(tmp_path / "a.onnx", channels_last=True), card)


def test_an_input_that_the_card_forgets_is_named(tmp_path: Path) -> None:
    said = refused(counter(tmp_path / "a.onnx"), RECURRENT.replace("[constants]\nbias = 0.25\n", ""))
    assert "nothing is said of the input bias" in said


@pytest.mark.parametrize(
    ("axes", "keep", "shape"),
    [([1, 2, 3], 0, (1,)), ([2, 3], 1, (1, 3, 1, 1)), ([1, 3], 0, (1, 256))],
    ids=["a number", "a class for the picture", "a row"],
)
def test_an_answer_that_is_no_picture_is_found_before_the_first_frame(
    tmp_path: Path, axes: list[int], keep: int, shape: tuple[int, ...]
) -> None:
    node = helper.make_node("ReduceMean", ["image"], ["out"], axes=axes, keepdims=keep)
    path = save(tmp_path / "a.onnx", [node], {"image": (1, 3, 256, 256)}, {"out": shape})
    assert f"the output out has the shape {list(shape)}" in refused(path, 'name = "a"')


def test_labels_are_no_probability(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.onnx",
        [helper.make_node("ArgMax", ["image"], ["label"], axis=1, keepdims=1)],
        {"image": (1, 3, 8, 8)},
        {"label": (1, 1, 8, 8)},
        kind=TensorProto.INT64,
    )
    assert "the output label is int64, no probability" in refused(path, 'name = "a"')


def test_a_card_without_the_activation_that_the_network_needs_shows_nothing(tmp_path: Path) -> None:
    path = constant(tmp_path / "a.onnx", [7.0])
    said = refused(path, ODDS.replace('activation = "sigmoid"', ""))
    assert "the output out goes from 7 to 7 and not from 0 to 1" in said


def test_what_swings_over_a_little_is_cut(tmp_path: Path) -> None:
    for logit, value in ((1.2, 1.0), (-0.2, 0.0)):
        path = constant(tmp_path / "a.onnx", [logit])
        assert (load(path, ODDS.replace('activation = "sigmoid"', "")).probability(frame()) == value).all()


def test_after_values_that_are_not_finite_the_state_starts_anew(tmp_path: Path) -> None:
    path = counter(tmp_path / "a.onnx")
    network = load(path, RECURRENT)
    assert float(network.probability(frame())[0, 0]) == pytest.approx(0.35)
    network._state = {"r1i": np.full((1, 1, 1, 1), np.nan, np.float32)}
    with pytest.raises(ModelError, match="not finite"):
        network.probability(frame())
    assert float(network.probability(frame())[0, 0]) == pytest.approx(0.35)


def test_a_state_begins_in_the_shape_that_the_card_says(tmp_path: Path) -> None:
    """The network gives back the share of zeros per value: 1 / (8 * 8), where its state has that shape."""
    path = save(
        tmp_path / "a.onnx",
        [
            helper.make_node("Identity", ["r1i"], ["r1o"]),
            helper.make_node("Size", ["r1i"], ["count"]),
            helper.make_node("Cast", ["count"], ["many"], to=TensorProto.FLOAT),
            helper.make_node("Reciprocal", ["many"], ["share"]),
            helper.make_node("ReduceMean", ["src"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "share"], ["pha"]),
        ],
        {"src": (1, 3, "h", "w"), "r1i": (1, 1, "h1", "w1")},
        {"pha": (1, 1, "h", "w"), "r1o": (1, 1, "h1", "w1")},
        {"zero": 0.0},
    )
    card = 'name = "r"\n[input]\nname = "src"\nshort_side = 8\n[state]\nr1i = '
    assert load(path, card + '"r1o"').probability(frame())[0, 0] == 1
    shaped = card + '{ output = "r1o", shape = [1, 1, 8, 8] }'
    assert load(path, shaped).probability(frame())[0, 0] == pytest.approx(1 / 64)


def elsewhere(path: Path, location: str) -> Path:
    """The network's weights are in another file."""
    left_half(path)
    network = onnx.load(path)
    weights = next(item for item in network.graph.initializer if item.name == "mask")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(16 * 16 * 4))):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(network.SerializeToString())
    return path


def test_weights_beside_the_network_are_read_and_those_elsewhere_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    content = np.ones((16, 16), np.float32).tobytes()
    for place in (folder, tmp_path):
        (place / "weights.bin").write_bytes(content)
    path = folder / "a.onnx"
    assert load(elsewhere(path, "weights.bin")).probability(frame()).min() == 1
    for location in ("../weights.bin", str(tmp_path / "weights.bin"), "/etc/passwd", "missing.bin"):
        assert "is no ONNX network that can be run" in refused(elsewhere(path, location))


def test_sides_that_are_too_large_are_not_tried(tmp_path: Path) -> None:
    path = echo(tmp_path / "a.onnx", channels_last=True, side=100_000)
    assert "larger than 4096 pixels" in refused(path, 'name = "a"\n[input]\nlayout = "NHWC"')
    path = constant(tmp_path / "b.onnx", [0.0])
    assert load(path, ODDS).probability(frame(size=Size(9000, 2))).shape == (1, 4096)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "directml", "tensorrt", "migraphx", "coreml"])
def test_a_device_that_onnxruntime_has_not_is_said_with_what_to_install(
    tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = left_half(tmp_path / "a.onnx")
    for there, said in ((["CPUExecutionProvider"], "onnxruntime for GPUs is not installed"), ([], "not installed")):
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda there=there: there)
        with pytest.raises(ModelError, match=said) as caught:
            OnnxSegmenter.load(network, Options(device=device))
        assert "pip install 'vbgcam[onnx-gpu]'" in caught.value.fix


def test_a_plain_install_has_no_onnxruntime_and_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    answer = OnnxSegmenter.load(left_half(tmp_path / "a.onnx"), Options()).probability(frame())
    assert (answer[:, :8] == 1).all()
    assert (answer[:, 8:] == 0).all()


@pytest.fixture(params=["openvino", "onnxruntime"])
def graph(request: pytest.FixtureRequest) -> Callable[[Path], Graph]:
    """Each engine opens it on the CPU, the one that there is everywhere."""
    if request.param == "openvino":
        return lambda path: OpenVinoGraph(read_onnx(path), "CPU", 1)
    return lambda path: OnnxruntimeGraph(path, "CPUExecutionProvider", 0, "cpu")


def test_every_engine_says_the_same_of_a_file_and_answers_alike(tmp_path: Path, graph: Callable[[Path], Graph]) -> None:
    network = graph(counter(tmp_path / "a.onnx"))
    assert list(network.inputs) == ["src", "r1i", "bias"]
    assert str(network.inputs["src"]) == "[1, 3, ?, ?]"
    assert network.inputs["src"].kind == network.outputs["pha"].kind == "float32"
    assert set(network.outputs) == {"pha", "r1o"}
    picture, bias = np.zeros((1, 3, 8, 12), np.float32), np.array([0.25], np.float32)
    state: dict[str, Held] = {"r1i": np.zeros((1, 1, 1, 1), np.float32)}
    answers = []
    for _ in range(4):
        answer, state = network.run({"src": picture}, "pha", constants={"bias": bias}, state=state, kept={"r1i": "r1o"})
        answers.append(float(answer[0, 0, 0, 0]))
    assert answers == pytest.approx([0.35, 0.45, 0.55, 0.65])
    network.close()


def test_a_state_that_is_held_stays_what_it_was(tmp_path: Path, graph: Callable[[Path], Graph]) -> None:
    """As for a picture aside from the others, whose state is dropped."""
    network = graph(counter(tmp_path / "a.onnx"))
    picture, bias = np.zeros((1, 3, 8, 8), np.float32), np.array([0.0], np.float32)

    def run(state: dict[str, Held]) -> tuple[float, dict[str, Held]]:
        answer, after = network.run({"src": picture}, "pha", constants={"bias": bias}, state=state, kept={"r1i": "r1o"})
        return round(float(answer[0, 0, 0, 0]), 3), after

    first = {"r1i": np.zeros((1, 1, 1, 1), np.float32)}
    _, held = run(first)
    for _ in range(3):
        run(first)
    assert run(held)[0] == run(held)[0] == 0.2


@pytest.mark.parametrize("where", ["HETERO:CPU", "AUTO:CPU"])
def test_another_device_of_openvinos_answers_as_the_cpu_does(tmp_path: Path, where: str) -> None:
    path = echo(tmp_path / "a.onnx", channels_last=True)
    picture = np.random.default_rng(2).random((1, 8, 8, 3), np.float32)
    answers = [OpenVinoGraph(read_onnx(path), name, 1).run({"image": picture}, "seen")[0] for name in ("CPU", where)]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-3)


def masks(network: OnnxSegmenter, clip: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    made = []
    for number, shot in enumerate(VideoReader(clip)):
        picture = RawFrame(shot.planes, float(shot.time), 0, number)
        made.append(finish(network.probability(picture), picture).alpha)
    return made


@pytest.mark.parametrize(("name", "error"), [("selfie_segmentation_256", 0.075), ("deeplabv3_voc21_257", 0.12)])
def test_a_real_network_is_found_by_its_hash_and_finds_a_real_person(
    testdata: Path, tmp_path: Path, name: str, error: float
) -> None:
    path = tmp_path / "renamed.onnx"
    shutil.copy(testdata / "models" / f"{name}.onnx", path)
    made = masks(load(path), testdata / "clips" / "room_static.mp4")
    with av.open(str(testdata / "clips" / "room_static_alpha.mkv")) as film:
        true = [picture.to_ndarray(format="gray") for picture in film.decode(video=0)]
    assert len(made) == len(true) == 150
    apart = [np.abs(mask.astype(float) - alpha).mean() / 255 for mask, alpha in zip(made, true, strict=True)]
    assert float(np.mean(apart)) <= error

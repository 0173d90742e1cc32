"""openvino: a converted network answers as torch does, is kept on disk, and is made anew where what was kept is not
whole."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from numpy.typing import NDArray
from openvino import opset13

from tests.support.torch_networks import random_network
from vbgcam.core.frames import U8, Size
from vbgcam.segment.converted import load, split_for_bf16
from vbgcam.segment.engines.openvino import OpenVinoEngine
from vbgcam.segment.torchvision import Person, converted

ON_CPU = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def person() -> Person:
    return Person(ON_CPU, random_network(ON_CPU)).eval()


@pytest.fixture(scope="module")
def model(person: Person) -> openvino.Model:
    return converted(person)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"stands for the weights")
    return path


def engine(model: openvino.Model, *, hard: bool = False) -> OpenVinoEngine:
    return OpenVinoEngine(model, 1, hard=hard, split=split_for_bf16)


def picture(size: Size) -> U8:
    return np.random.default_rng(3).integers(0, 256, (size.height, size.width, 3), np.uint8)


@pytest.mark.parametrize("size", [Size(96, 64), Size(171, 96), Size(33, 130)])
def test_every_size_is_answered_as_torch_answers(size: Size, person: Person, model: openvino.Model) -> None:
    made = engine(model)
    rgb = picture(size)
    with torch.inference_mode():
        expected = person(torch.from_numpy(rgb)[None]).numpy()
    found = made.run(rgb)
    assert found.dtype == np.float32
    # bf16 keeps 8 bits, float32 24.
    np.testing.assert_allclose(found, expected, atol=0.05 if made.precision == "bf16" else 1e-3)
    made.close()


def test_a_network_in_two_parts_answers_as_the_whole(model: openvino.Model) -> None:
    fixed = model.clone()
    fixed.reshape([1, 64, 96, 3])
    parts = split_for_bf16(fixed)
    assert parts is not None
    core, answer = openvino.Core(), picture(Size(96, 64))[None]
    settings = {"INFERENCE_PRECISION_HINT": "f32"}

    def run(part: openvino.Model, given: NDArray[Any]) -> NDArray[Any]:
        request = core.compile_model(part, "CPU", settings).create_infer_request()
        request.infer({0: given})
        return np.array(request.get_output_tensor(0).data)

    whole = run(fixed, answer)
    np.testing.assert_allclose(run(parts[1], run(parts[0], answer)), whole, rtol=1e-4, atol=1e-4)
    kinds = [[node.get_type_name() for node in part.get_ordered_ops()] for part in (fixed, *parts)]
    counts = [sum("Convolution" in kind for kind in part) for part in kinds]
    assert counts[1] + counts[2] == counts[0]
    assert 0 < counts[1] <= counts[0] / 4


def test_a_network_that_never_narrows_stays_whole() -> None:
    both = opset13.parameter(openvino.PartialShape([1, 3, 8, 8]), openvino.Type.f32)
    assert split_for_bf16(openvino.Model([opset13.add(both, both)], [both])) is None


def test_a_label_mask_is_that_of_torch() -> None:
    hard = Person(ON_CPU, random_network(ON_CPU), hard=True).eval()
    rgb = picture(Size(96, 64))
    with torch.inference_mode():
        expected = hard(torch.from_numpy(rgb)[None]).numpy()
    found = engine(converted(hard), hard=True).run(rgb)
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert np.mean(found != expected) < 0.01


def test_an_answer_stays_as_it_was_when_the_next_one_comes(model: openvino.Model) -> None:
    made = engine(model)
    first = made.run(picture(Size(96, 64)))
    copy = first.copy()
    made.run(255 - picture(Size(96, 64)))
    np.testing.assert_array_equal(first, copy)


def test_sizes_are_prepared_beside_a_run_and_old_ones_are_let_go(model: openvino.Model) -> None:
    made = engine(model)
    sizes = [Size(64 + 16 * step, 64) for step in range(4)]
    threads = [threading.Thread(target=made.prepare, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    answers = [made.run(picture(sizes[0])) for _ in range(5)]
    for thread in threads:
        thread.join()
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])
    for size in sizes:
        assert made.run(picture(size)).shape == (size.height, size.width)


def test_a_kept_network_is_used_without_converting_again(model: openvino.Model, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    load(weights, False, folder, lambda: model)

    def never() -> openvino.Model:
        raise AssertionError("it was kept")

    rgb = picture(Size(96, 64))
    kept = engine(load(weights, False, folder, never))
    np.testing.assert_array_equal(kept.run(rgb), engine(model).run(rgb))
    with pytest.raises(AssertionError, match="kept"):
        load(weights, True, folder, never)
    weights.write_bytes(b"other weights")
    with pytest.raises(AssertionError, match="kept"):
        load(weights, False, folder, never)


@pytest.mark.parametrize("end", [".xml", ".bin", ".json"])
@pytest.mark.parametrize("harm", ["changed", "cut", "gone"])
def test_what_is_not_whole_is_made_anew(
    end: str, harm: str, model: openvino.Model, weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "networks"
    load(weights, False, folder, lambda: model)
    [victim] = folder.glob(f"*{end}")
    content = bytearray(victim.read_bytes())
    if harm == "gone":
        victim.unlink()
    else:
        content[len(content) // 2] ^= 1
        victim.write_bytes(content if harm == "changed" else content[:-10])
    made: list[int] = []

    def again() -> openvino.Model:
        made.append(1)
        return model

    load(weights, False, folder, again)
    assert made
    load(weights, False, folder, again)
    assert len(made) == 1, "and kept again"


def kept_networks(folder: Path) -> set[str]:
    """By the weights that they were made from."""
    assert {path.suffix for path in folder.iterdir()} == {".xml", ".bin", ".json"}
    stems = [path.stem for path in folder.iterdir()]
    assert all(stems.count(stem) == 3 for stem in stems)
    return {stem.rpartition("-")[0] for stem in stems}


def make(name: str, folder: Path, model: openvino.Model, age: float) -> None:
    """Keeps a network that was last used `age` seconds ago."""
    weights = folder.parent / f"{name}.pth"
    weights.write_text(name)
    load(weights, False, folder, lambda: model)
    for path in folder.glob(f"{name}-*"):
        os.utime(path, (time.time() - age,) * 2)


def test_a_full_folder_lets_the_networks_go_that_were_not_used_for_longest(
    model: openvino.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "networks"
    for name, age in (("a", 400.0), ("b", 300.0), ("c", 200.0)):
        make(name, folder, model, age)
    monkeypatch.setattr("vbgcam.segment.converted._KEPT", 3)

    def never() -> openvino.Model:
        raise AssertionError("it was kept")

    load(tmp_path / "a.pth", False, folder, never)
    make("d", folder, model, 0)
    assert kept_networks(folder) == {"a", "c", "d"}


def test_a_network_in_use_answers_after_another_process_let_it_go(
    model: openvino.Model, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "networks"
    load(weights, False, folder, lambda: model)
    made = engine(load(weights, False, folder, lambda: model))
    before = made.run(picture(Size(96, 64)))
    monkeypatch.setattr("vbgcam.segment.converted._KEPT", 1)
    make("other", folder, model, 0)
    assert kept_networks(folder) == {"other"}
    np.testing.assert_array_equal(made.run(picture(Size(96, 64))), before)
    assert made.run(picture(Size(64, 96))).shape == (96, 64), "a size that is compiled only now"


def test_processes_that_fill_one_folder_at_once_all_get_their_network(
    model: openvino.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vbgcam.segment.converted._KEPT", 1)
    folder = tmp_path / "networks"
    files = [tmp_path / f"{name}.pth" for name in "abab"]
    for file in files:
        file.write_text(file.stem)
    with ThreadPoolExecutor(len(files)) as pool:
        for found in pool.map(lambda file: [load(file, False, folder, model.clone) for _ in range(3)], files):
            for one in found:
                assert engine(one).run(picture(Size(32, 32))).shape == (32, 32)


def test_a_folder_that_cannot_be_written_to_costs_only_time(
    model: openvino.Model, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert load(weights, False, tmp_path / "file" / "networks", lambda: model) is model


def test_a_kept_network_needs_no_torch(model: openvino.Model, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    load(weights, False, folder, lambda: model)
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from vbgcam.segment import family\n"
        "from vbgcam.segment.converted import load\n"
        "from vbgcam.segment.engines.openvino import OpenVinoEngine\n"
        "engine = OpenVinoEngine(load(Path(sys.argv[1]), False, Path(sys.argv[2]), None), 1)\n"
        "print(engine.run(np.zeros((64, 96, 3), np.uint8)).shape, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(weights), str(folder)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "(64, 96) False"

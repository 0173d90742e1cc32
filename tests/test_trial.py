"""segment.trial: a file that crashes or never answers harms the process that tries it, and no other."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import left_half, save
from vbgcam.core.errors import ModelError
from vbgcam.segment import Options, trial
from vbgcam.segment.download import file_sha256
from vbgcam.segment.onnx import OnnxSegmenter


def tried(path: Path, marks: Path, options: Options = Options()) -> None:  # noqa: B008  # it is frozen
    trial.passed(path, file_sha256(path), options, marks)


def test_what_has_passed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, marks = left_half(tmp_path / "a.onnx"), tmp_path / "marks"
    tried(path, marks)
    assert len(list(marks.iterdir())) == 1

    def never(*_args: object, **_settings: object) -> None:
        raise AssertionError("it has passed")

    monkeypatch.setattr(subprocess, "run", never)
    tried(path, marks)
    with pytest.raises(AssertionError, match="passed"):
        tried(path, marks, Options(device="gpu"))


def test_what_the_network_lacks_is_said_as_if_it_were_loaded_here(tmp_path: Path) -> None:
    path = left_half(tmp_path / "a.onnx")
    path.with_name("a.onnx.toml").unlink()
    with pytest.raises(ModelError, match="no card") as caught:
        tried(path, tmp_path / "marks")
    assert caught.value.fix.startswith("write a.onnx.toml")
    assert not (tmp_path / "marks").exists()


def test_a_crash_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "python"
    command.write_text("#!/bin/sh\nkill -SEGV $$\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    with pytest.raises(ModelError, match=r"crashed \(it was ended by SIGSEGV\)"):
        tried(left_half(tmp_path / "a.onnx"), tmp_path / "marks")


def endless(path: Path) -> Path:
    """A loop that turns for ever, in some hundred bytes."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["held", "one"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, []),
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", onnx.TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", onnx.TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Loop", ["times", "", "mean"], ["person"], body=body),
    ]
    weights: dict[str, object] = {"times": np.array(2**62, np.int64), "one": np.float32(0)}
    save(path, nodes, {"image": (1, 3, 16, 16)}, {"person": (1, 1, 16, 16)}, weights)
    path.with_name(path.name + ".toml").write_text('name = "endless"\n')
    return path


def test_a_network_that_never_answers_is_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LONGEST_S", 4.0)
    with pytest.raises(ModelError, match="no answer in 4 s"):
        tried(endless(tmp_path / "endless.onnx"), tmp_path / "marks")


def test_a_file_that_nobody_knows_is_tried_before_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(trial, "passed", lambda path, *_rest: asked.append(path))
    path = left_half(tmp_path / "a.onnx")
    OnnxSegmenter.load(path, Options())
    assert asked == [path]


def test_a_network_of_a_shipped_card_needs_no_trial(
    testdata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "passed", lambda *_args: pytest.fail("its hash is known"))
    OnnxSegmenter.load(testdata / "models" / "selfie_segmentation_256.onnx", Options())

"""segment.engines.devices: what model.device means on machines that are not this one."""

from pathlib import Path

import pytest
import torch

from vbgcam.core.errors import ModelError
from vbgcam.segment.engines import devices
from vbgcam.segment.engines.devices import CPU, DeviceInfo, Place, for_onnx, for_torchvision, survey

LAPTOP = {"CPU": "Core Ultra", "GPU.0": "Iris Xe", "GPU.1": "Arc A770", "NPU": "AI Boost"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One with nothing but a CPU; tests plug in more."""
    monkeypatch.setattr(devices, "openvino_devices", lambda: {"CPU": "a CPU"})
    monkeypatch.setattr(devices, "onnxruntime_devices", lambda: ())
    monkeypatch.setattr(devices, "may_have_gpu", lambda: False)
    monkeypatch.setattr(devices, "_on_pci", lambda *_what: False)
    return monkeypatch


def plug_cuda(machine: pytest.MonkeyPatch, count: int, onnxruntime: tuple[str, ...] = ()) -> None:
    machine.setattr(devices, "may_have_gpu", lambda: True)
    machine.setattr(devices, "onnxruntime_devices", lambda: onnxruntime)
    machine.setattr(torch.cuda, "is_available", lambda: count > 0)
    machine.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize("place", [for_torchvision, for_onnx])
def test_intels_devices_are_used_where_they_are_asked_for(machine: pytest.MonkeyPatch, place: object) -> None:
    assert callable(place)
    machine.setattr(devices, "openvino_devices", lambda: LAPTOP)
    assert place("auto") == place("cpu") == CPU
    assert place("gpu") == Place("openvino", "GPU", "gpu")
    assert place("gpu:1") == Place("openvino", "GPU.1", "gpu:1")
    assert place("npu") == Place("openvino", "NPU", "npu")
    with pytest.raises(ModelError, match="cannot run on gpu:2: OpenVINO finds only gpu:0, gpu:1, npu and the CPU"):
        place("gpu:2")


@pytest.mark.parametrize("asked", ["gpu", "npu", "cuda", "mps", "directml"])
def test_what_is_not_there_is_said_with_the_way_out(machine: pytest.MonkeyPatch, asked: str) -> None:
    plug_cuda(machine, 0)
    machine.setattr(torch.backends.mps, "is_available", lambda: False)
    for place in (for_torchvision, for_onnx):
        with pytest.raises(ModelError, match=asked) as caught:
            place(asked)
        assert "model.device=auto" in caught.value.fix


def test_several_cards_are_told_apart(machine: pytest.MonkeyPatch) -> None:
    plug_cuda(machine, 2, ("cuda", "tensorrt"))
    assert for_torchvision("auto") == for_torchvision("cuda") == Place("torch", "cuda:0", "cuda:0")
    assert for_torchvision("cuda:1").where == "cuda:1"
    assert for_onnx("cuda:1") == Place("onnxruntime", "CUDAExecutionProvider", "cuda:1")
    assert for_onnx("tensorrt") == Place("onnxruntime", "TensorrtExecutionProvider", "tensorrt")
    with pytest.raises(ModelError, match="there is no cuda:2, the last is cuda:1"):
        for_torchvision("cuda:2")


def test_an_onnx_network_takes_the_gpu_by_itself_only_where_onnxruntime_reaches_it(machine: pytest.MonkeyPatch) -> None:
    plug_cuda(machine, 1)
    assert for_onnx("auto") == CPU
    plug_cuda(machine, 1, ("cuda",))
    assert for_onnx("auto").where == "CUDAExecutionProvider"


def test_what_there_is_is_listed_and_what_is_not_used_with_the_reason(machine: pytest.MonkeyPatch) -> None:
    assert list(survey()) == [DeviceInfo("cpu", "a CPU", ("openvino",))]
    machine.setattr(devices, "openvino_devices", lambda: LAPTOP)
    assert [(each.name, each.label) for each in survey()] == [
        ("cpu", "Core Ultra"), ("gpu:0", "Iris Xe"), ("gpu:1", "Arc A770"), ("npu", "AI Boost"),
    ]  # fmt: skip
    machine.setattr(devices, "openvino_devices", lambda: {"CPU": "a CPU"})
    machine.setattr(devices, "_on_pci", lambda *_what: True)
    plug_cuda(machine, 0)
    unused = {each.name: each for each in survey() if not each.engines}
    assert set(unused) == {"gpu", "npu", "cuda"}
    assert all(each.problem and each.fix for each in unused.values())
    plug_cuda(machine, 1, ("cuda", "directml"))
    reach = {each.name: each.engines for each in survey() if each.engines}
    assert reach == {"cpu": ("openvino",), "cuda:0": ("torch", "onnxruntime"), "directml": ("onnxruntime",)}


def test_without_openvino_torch_takes_the_cpu(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(devices, "openvino_devices", dict)
    assert [each.engines for each in survey()] == [("torch",)]


def test_the_pci_bus_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = tmp_path / "sys/bus/pci/devices/0000:00:02.0"
    card.mkdir(parents=True)
    monkeypatch.setattr(devices, "_PCI", card.parent)
    assert not devices._on_pci("0x8086", ("0x0300",))
    (card / "vendor").write_text("0x8086\n")
    (card / "class").write_text("0x030000\n")
    assert devices._on_pci("0x8086", ("0x0300",))
    assert not devices._on_pci("0x10de", ("0x0300",))

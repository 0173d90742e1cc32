"""Which engine, and which of its devices, `model.device` means; and what there is on this machine."""

import ctypes.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from vbgcam.core.errors import ModelError
from vbgcam.segment.engines.base import quiet_torch

_PROVIDERS: Final = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
_AUTO: Final = "use `--set model.device=auto`; `vbgcam devices` lists what there is"
_ONNX_GPU: Final = "pip install 'vbgcam[onnx-gpu]'"
_PCI: Final = Path("/sys/bus/pci/devices")
_INTEL: Final = "0x8086"
_DISPLAYS: Final = ("0x0300", "0x0380")  # PCI classes: with and without a plug for a screen
_ACCELERATOR: Final = "0x1200"


@dataclass(frozen=True, slots=True)
class Place:
    """`where`: the device as the engine names it. `name`: as in `model.device`."""

    engine: Literal["openvino", "torch", "onnxruntime"]
    where: str
    name: str


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One that a network can run on, or could. `name`: as in `model.device`. `engines`: which reach it; none with a
    `problem`, which says why it is not used, and `fix` what helps."""

    name: str
    label: str
    engines: tuple[str, ...] = ()
    problem: str = ""
    fix: str = ""


CPU: Final = Place("openvino", "CPU", "cpu")
"""Where everything ends that runs nowhere else."""

ONNXRUNTIME_CPU: Final = Place("onnxruntime", "CPUExecutionProvider", "cpu")
"""What OpenVINO is measured against."""


def for_torchvision(asked: str) -> Place:
    """For a network of torchvision's. Raises ModelError where the device asked for is not there, or does not run it."""
    kind, _, number = asked.partition(":")
    if kind in ("gpu", "npu"):
        return _openvino(kind, number)
    if asked == "cpu" or (asked == "auto" and not may_have_gpu()):
        return CPU
    if kind not in ("auto", "cuda", "mps"):
        raise ModelError(f"torchvision's networks do not run on {kind}, only ONNX networks do", fix=_AUTO)
    quiet_torch()
    import torch

    if kind in ("auto", "cuda") and torch.cuda.is_available():
        found = int(number or 0)
        if found >= torch.cuda.device_count():
            raise ModelError(f"there is no cuda:{found}, the last is cuda:{torch.cuda.device_count() - 1}", fix=_AUTO)
        return Place("torch", f"cuda:{found}", f"cuda:{found}")
    if kind in ("auto", "mps") and torch.backends.mps.is_available():
        return Place("torch", "mps", "mps")
    if kind == "auto":
        return CPU
    raise ModelError(
        f"the network cannot run on {asked}: there is no such GPU, its driver is missing or too old, or this torch was "
        "built without it",
        fix=_AUTO,
    )


def for_onnx(asked: str) -> Place:
    """For the network of an ONNX file. `auto` is NVIDIA's GPU where onnxruntime reaches it, else the CPU: Intel's GPUs
    and NPUs have not been measured by us. Raises ModelError where the device asked for is not there."""
    kind, _, number = asked.partition(":")
    if kind in ("gpu", "npu"):
        return _openvino(kind, number)
    if kind == "cpu":
        return CPU
    if kind == "auto":
        if not may_have_gpu() or "cuda" not in onnxruntime_devices():
            return CPU
        kind = "cuda"
    there = onnxruntime_devices()
    if kind not in there:
        have = f"this onnxruntime reaches {', '.join(there)}" if there else "onnxruntime for GPUs is not installed"
        raise ModelError(f"an ONNX network cannot run on {kind}: {have}", fix=f"{_ONNX_GPU}, or {_AUTO}")
    return Place("onnxruntime", _PROVIDERS[kind], f"{kind}:{number or 0}" if kind == "cuda" else kind)


def onnxruntime_devices() -> tuple[str, ...]:
    """Those that the installed onnxruntime was built for."""
    try:
        import onnxruntime
    except ImportError:
        return ()
    there = onnxruntime.get_available_providers()
    return tuple(kind for kind, provider in _PROVIDERS.items() if provider in there)


def openvino_devices() -> dict[str, str]:
    """OpenVINO's names, "CPU", "GPU.0", ..., and the devices' own; none where OpenVINO is not installed."""
    try:
        import openvino
    except ImportError:
        return {}
    core = openvino.Core()
    return {name: str(core.get_property(name, "FULL_DEVICE_NAME")).strip() for name in core.available_devices}


def survey() -> Iterator[DeviceInfo]:
    """What a network can run on here, and what could be but is not used. Imports torch (2 s) where there may be a GPU
    for it."""
    found = openvino_devices()
    here = {_name(name): label for name, label in found.items()}
    yield DeviceInfo("cpu", here.get("cpu", "the processor"), ("openvino",) if "cpu" in here else ("torch",))
    yield from (DeviceInfo(name, label, ("openvino",)) for name, label in here.items() if name != "cpu")
    if not any(name.startswith("gpu") for name in here) and _on_pci(_INTEL, _DISPLAYS):
        fix = "sudo apt install intel-opencl-icd, and be a member of the group render"
        yield DeviceInfo(
            "gpu", "Intel graphics", problem="its compute driver is missing, or you may not open it", fix=fix
        )
    if "npu" not in here and (Path("/dev/accel").is_dir() or _on_pci(_INTEL, (_ACCELERATOR,))):
        fix = "install Intel's linux-npu-driver, and be a member of the group render"
        yield DeviceInfo("npu", "Intel NPU", (), "its driver is missing, or you may not open it", fix)
    ours = onnxruntime_devices()
    if may_have_gpu():
        try:
            place = for_torchvision("auto")
        except (ImportError, ModelError):
            place = CPU
        if place.engine == "torch":
            reach = ("torch", "onnxruntime") if place.name.partition(":")[0] in ours else ("torch",)
            yield DeviceInfo(place.name, "NVIDIA or AMD GPU" if place.name != "mps" else "Apple GPU", reach)
        else:
            yield DeviceInfo("cuda", "GPU", problem="torch does not see it", fix="`vbgcam doctor` says why")
    yield from (DeviceInfo(kind, "by onnxruntime", ("onnxruntime",)) for kind in ours if kind not in ("cuda", "mps"))


def may_have_gpu() -> bool:
    """Whether it is worth 2 s to import torch and ask it."""
    if sys.platform == "darwin":
        return True
    names = ("nvcuda", "amdhip64") if sys.platform == "win32" else ("cuda", "amdhip64")
    return any(map(ctypes.util.find_library, names))


def _openvino(kind: str, number: str) -> Place:
    there = [name for name in openvino_devices() if name != "CPU"]
    where = kind.upper() + (f".{number}" if number else "")
    if where not in there and f"{where}.0" not in there:
        have = f"only {', '.join(map(_name, there))} and the CPU" if there else "nothing but the CPU"
        raise ModelError(f"the network cannot run on {_name(where)}: OpenVINO finds {have}", fix=_AUTO)
    return Place("openvino", where, _name(where))


def _name(where: str) -> str:
    return where.lower().replace(".", ":")


def _on_pci(vendor: str, classes: tuple[str, ...]) -> bool:
    for device in _PCI.iterdir() if _PCI.is_dir() else ():
        try:
            found = [(device / name).read_text().strip() for name in ("vendor", "class")]
            if found[0] == vendor and found[1][:6] in classes:
                return True
        except OSError:
            continue
    return False

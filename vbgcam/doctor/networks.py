"""What the network needs: a GPU that is used if there is one, weights that are the right ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vbgcam.core.text import megabytes
from vbgcam.doctor.check import Check, note, ok, wrong
from vbgcam.doctor.installation import nearest, pip
from vbgcam.doctor.machine import Machine
from vbgcam.system import linux_packages

if TYPE_CHECKING:
    from vbgcam.settings.schema import Settings

_NVIDIA: Final = "0x10de"
_DISPLAYS: Final = ("0x0300", "0x0302")  # PCI classes: with and without a plug for a screen


def check(machine: Machine, settings: Settings) -> Iterator[Check]:
    """The GPU first: what `auto` means depends on it."""
    from vbgcam.core.specs import ModelSpec

    yield from _processors(machine)
    spec = ModelSpec.parse(settings.model.name)
    if spec.kind == "portrait":
        yield from _weights(machine, settings, spec.name)
        return
    if spec.kind not in ("auto", "torchvision"):
        yield _other(machine, settings)
        return
    if spec.kind == "torchvision" and machine.version("torch") is None:
        # A network that was converted before torch went would do; nobody takes it out again.
        yield wrong("weights", f"{spec} is made ready with torch, which is not installed", pip("torch", "torchvision"))
        return
    gpu, device = _gpu(machine, settings.model.device)
    yield gpu
    from vbgcam.segment.auto import preferred

    yield from _weights(machine, settings, spec.name or preferred(device))


def _processors(machine: Machine) -> Iterator[Check]:
    """What `model.device` may name here. Of GPUs for torch `_gpu` says more."""
    found = machine.processors()
    yield ok("processors", "; ".join(f"{each.name}: {each.label}" for each in found if each.engines))
    for each in found:
        if each.problem and each.name != "cuda":
            yield note("processors", f"{each.name} is not used: {each.problem}", each.fix)


def _gpu(machine: Machine, wanted: str) -> tuple[Check, str]:
    """Also the device that the network would run on: "cpu", "cuda" or "mps". `wanted`: of the settings."""
    from vbgcam.core.errors import ModelError

    name = "GPU"
    if wanted == "cpu":
        return ok(name, "not used: model.device is cpu"), "cpu"
    broken = wrong if wanted == "cuda" else note
    driver_fix = machine.on_host(linux_packages.install_nvidia())
    card, cuda = "", ""
    smi = machine.run("nvidia-smi")
    if smi.good:
        listed = machine.run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").out
        card = ", driver ".join(part.strip() for part in listed.partition("\n")[0].split(","))
        cuda = machine.torch_cuda() or ""
        if not cuda:
            found = f"{card}, but torch {machine.version('torch')} is built without CUDA"
            return broken(name, found, pip("--force-reinstall", "torch", "torchvision")), "cpu"
        able = re.search(r"CUDA Version: *(\d+)", smi.out)
        # A driver runs every CUDA of its own major version, and none of a newer one.
        if able and int(able[1]) < int(cuda.partition(".")[0]):
            return broken(name, f"{card}: it knows CUDA {able[1]}, and torch is built for {cuda}", driver_fix), "cpu"
    elif _plugged(machine):
        instead = "; nouveau holds it" if (machine.root / "sys/module/nouveau").exists() else ""
        found = f"there is an NVIDIA GPU, but its driver does not run{instead}: the network runs on the CPU"
        return broken(name, found, driver_fix), "cpu"
    if card or wanted in ("cuda", "mps") or machine.system == "darwin":
        try:
            device = machine.device(wanted)
        except ModelError as exc:
            return wrong(name, exc.message, exc.fix), "cpu"
        if card and device == "cpu":
            found = f"{card}: torch {machine.version('torch')} for CUDA {cuda} does not see it"
            reload = machine.on_host("sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm")
            return broken(name, found, reload), device
        return ok(name, f"{card}; torch for CUDA {cuda}" if card else device), device
    openvino = machine.version("openvino")
    if openvino is None:
        return note(name, "none from NVIDIA, and no OpenVINO: torch is 3 times slower on a CPU", pip("openvino")), "cpu"
    return ok(name, f"none from NVIDIA: the network runs on the CPU with OpenVINO {openvino}"), "cpu"


def _plugged(machine: Machine) -> bool:
    """Whether a GPU of NVIDIA's is on the PCI bus."""
    return any(
        machine.text(place) == _NVIDIA and machine.text(place.with_name("class")).startswith(_DISPLAYS)
        for place in (machine.root / "sys/bus/pci/devices").glob("*/vendor")
    )


def _weights(machine: Machine, settings: Settings, name: str) -> Iterator[Check]:
    from vbgcam import factory
    from vbgcam.core.errors import ModelError
    from vbgcam.segment.weights import ensure, survey

    options = factory.options(settings)
    try:
        rows = survey(options)
    except ModelError as exc:
        yield wrong("weights", exc.message, exc.fix or "vbgcam models verify")
        return
    for row in rows:
        again = f"rm {row.path}" if row.own else f"vbgcam models fetch {row.name}"
        if row.name != name:
            if row.state == "wrong":
                yield note("other weights", f"{row.path} is damaged and will not be used", again)
        elif row.state == "missing":
            place = nearest(row.path)
            free = machine.free_bytes(place)
            if free < row.size:
                room = f"{megabytes(row.size)} are needed, {megabytes(free)} are free"
                fix = f"free some room on the disk of {place}"
                yield wrong("weights", f"no room for the weights of {name}: {room}", fix)
            else:
                later = f"{name} is not here yet: {megabytes(row.size)} are fetched at the first start"
                yield note("weights", later, f"vbgcam models fetch {name}")
        elif row.state == "right":
            yield ok("weights", f"{name} is here, and its hash is right")
        else:
            try:
                ensure(name, options)
            except ModelError as exc:
                yield wrong("weights", exc.message, again)


def _other(machine: Machine, settings: Settings) -> Check:
    """Of models that are no network of torchvision's."""
    from vbgcam import factory
    from vbgcam.core.errors import ModelError
    from vbgcam.core.specs import ModelSpec
    from vbgcam.segment.weights import added_onnx

    spec, options = ModelSpec.parse(settings.model.name), factory.options(settings)
    if spec.kind == "plate":
        path = spec.path or options.folder / "plate.png"
        if path.exists():
            return ok("weights", f"none are needed: the clean plate is {path}")
        return wrong("weights", f"the clean plate {path} is not there", "vbgcam plate")
    if spec.kind != "onnx" or spec.path is None:
        return ok("weights", f"none are needed for {settings.model.name}")
    try:
        path = added_onnx(spec.path, options)
    except ModelError as exc:
        return wrong("weights", exc.message, exc.fix)
    if not path.is_file():
        return wrong("weights", f"{path} is not there", "vbgcam models add FILE, or set model.name to where it lies")
    return ok("weights", f"{path}")

"""What the figures were measured on. Nothing heavy is imported for it: versions come from the packages' metadata."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("numpy", "opencv-python", "av", "numba", "torch", "torchvision", "openvino", "onnxruntime")

# As Linux names them, and what people call them: what makes a network fast on a processor.
_SETS: Final = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "AVX-VNNI",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX int8",
    "amx_bf16": "AMX bf16",
    "asimd": "NEON",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
}


def describe() -> dict[str, Any]:
    """`machine` of the figures. `load`: how many programs wanted a core in the last minute, None where the system does
    not say; figures of a busy machine are worth little."""
    model, flags = _processor()
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instruction_sets": [name for flag, name in _SETS.items() if flag in flags],
        "gpu": _gpu(),
        "memory_gb": _memory(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "os": _system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, frozenset[str]]:
    """The model's name and the flags that Linux lists."""
    if sys.platform == "darwin":
        return _said(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.machine(), frozenset()
    try:
        lines = [line.partition(":")[::2] for line in cpuinfo.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    said = {key.strip().lower(): value.strip() for key, value in lines}
    name = said.get("model name") or platform.processor() or platform.machine()
    return name, frozenset((said.get("flags") or said.get("features") or "").split())


def _gpu() -> str:
    """NVIDIA's by its own tool; "" where there is none to be found this way."""
    asked = _said(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    if asked:
        return ", driver ".join(part.strip() for part in asked.splitlines()[0].split(","))
    return platform.machine() + " (Metal)" if sys.platform == "darwin" and platform.machine() == "arm64" else ""


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)
    return f"{name}, {platform.system()} {platform.release()}"


def version(package: str) -> str | None:
    """Of an installed package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

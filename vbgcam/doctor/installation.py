"""What vbgcam itself needs on any system: its libraries, its settings, room on the disk."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vbgcam.doctor.check import Check, note, ok, wrong
from vbgcam.doctor.machine import Machine
from vbgcam.system import linux_packages

if TYPE_CHECKING:
    from vbgcam.settings.schema import Settings

# Module and package of all that the chain imports; torch, which takes 2 s, is looked at by its version alone.
_LIBRARIES: Final = (
    ("numpy", "numpy"),
    ("cv2", "opencv-python"),
    ("av", "av"),
    ("numba", "numba"),
    ("pydantic", "pydantic"),
    ("platformdirs", "platformdirs"),
    ("rich", "rich"),
    ("PIL", "pillow"),
    ("pyvirtualcam", "pyvirtualcam"),
)
# A converted LRASPP network takes 13 MB, a clean plate of 4K 25 MB, a log 10 MB.
_ROOM: Final = 64_000_000


def libraries(machine: Machine) -> Iterator[Check]:
    """Whether each library can be imported, and torch and torchvision are of one build."""
    errors = {package: machine.import_error(module) for module, package in _LIBRARIES}
    for package, error in errors.items():
        if error:
            system = "libGL" in error or "libgthread" in error or "libglib" in error
            fix = linux_packages.install(linux_packages.OPENCV) if system else pip("--force-reinstall", package)
            yield wrong("libraries", f"{package} cannot be imported: {error}", fix)
    torch, vision = machine.version("torch"), machine.version("torchvision")
    if torch is None or vision is None:
        missing = " and ".join(name for name, there in (("torch", torch), ("torchvision", vision)) if there is None)
        lost = "torchvision's networks and NVIDIA's and Apple's GPUs need it, selfie and the other ONNX networks do not"
        yield note("libraries", f"{missing} not installed: {lost}", pip("torch", "torchvision"))
    elif torch.partition("+")[2] != vision.partition("+")[2]:
        # "operator torchvision::nms does not exist" is what a person would see.
        found = f"torch {torch} and torchvision {vision} are not of one build and do not work together"
        yield wrong("libraries", found, pip("--force-reinstall", "torch", "torchvision"))
    elif not any(errors.values()):
        yield ok("libraries", f"all can be imported; torch {torch}, torchvision {vision}")


def pip(*words: str) -> str:
    """pip of the Python that runs this; of an environment that the Debian package's vbgcam-setup made, that, which
    makes it anew."""
    choice = Path(sys.prefix, "choice")
    if choice.exists():
        return "vbgcam-setup" if os.access(choice, os.W_OK) else "sudo vbgcam-setup"
    return shlex.join([sys.executable, "-m", "pip", "install", *words])


def settings_file(machine: Machine, file: Path | None) -> tuple[Settings | None, list[Check]]:
    """The settings in force, None where there are mistakes. `file`: as --config gives it."""
    from vbgcam.core.errors import ConfigError
    from vbgcam.settings import reading, schema

    path = file or schema.default_path()
    try:
        settings = reading.load(file)
    except ConfigError as exc:
        editor = "notepad" if machine.system == "win32" else "${EDITOR:-nano}"
        return None, [wrong("config", problem, f"{editor} {shlex.quote(str(path))}") for problem in exc.problems]
    except OSError as exc:  # a folder above it is closed to this user
        return None, [wrong("config", f"{path} cannot be looked at: {exc.strerror}", _take(path))]
    return settings, [ok("config", f"{path}" if path.exists() else f"all at their defaults; {path} is not there")]


def background(settings: Settings) -> Iterator[Check]:
    """Whether what stands behind the person can be read."""
    from vbgcam import factory
    from vbgcam.core.errors import BackgroundError

    try:
        factory.background_opener(settings)(factory.wanted(settings).size).close()
    except BackgroundError as exc:
        fix = f"{exc.fix}, or set" if exc.fix else "set"
        yield wrong("background", exc.message, f"{fix} background.show to what is there, or to a colour")
    else:
        yield ok("background", settings.background.show)


def disk(machine: Machine) -> Iterator[Check]:
    """Whether there is room where vbgcam writes, and whether it may."""
    import tempfile

    import platformdirs

    from vbgcam.segment.weights import cache_folder
    from vbgcam.settings import schema
    from vbgcam.system.logfile import log_path

    free: dict[Path, int] = {}
    for folder in (
        Path(platformdirs.user_cache_dir("vbgcam", appauthor=False)),
        cache_folder(),
        schema.data_folder(),
        schema.default_path().parent,
        log_path().parent,
        Path(tempfile.gettempdir()),
    ):
        place = folder
        try:
            place = nearest(folder)
            free[folder] = machine.free_bytes(place)
        except OSError as exc:
            yield wrong("disk", f"{place} cannot be looked at: {exc.strerror}", _take(place))
            return
        if free[folder] < _ROOM:
            find = f"du -xhd1 {shlex.quote(str(machine.home))} | sort -h | tail"
            found = f"the disk is full: {free[folder] / 1e6:.0f} MB are left for {folder}"
            yield wrong("disk", found, f"{find}, then delete what is not needed")
            return
        if not os.access(place, os.W_OK | os.X_OK):
            yield wrong("disk", f"you may not write to {place}", _take(place))
            return
    least = min(free, key=free.__getitem__)
    yield ok("disk", f"{free[least] / 1e9:.1f} GB free for {least}")


def _take(path: Path) -> str:
    """Gives the person the first folder on the way there that is closed to them, or else the path itself."""
    way = [*reversed(path.parents), path]
    closed = next((place for place in way if not os.access(place, os.X_OK)), path)
    return f'sudo chown -R "$USER": {shlex.quote(str(closed))}'


def nearest(path: Path) -> Path:
    """The path itself or the first folder above it that is there. Raises OSError where that may not be known."""
    return next(place for place in (path, *path.parents) if place.exists())

"""No room, ever: nobody but compose makes a SafeFrame, neither at run time nor before the type checker's eyes."""

import ast
import copy
import dataclasses
import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vbgcam.render.composer
from vbgcam.core import frames
from vbgcam.core.frames import Backdrop, Mask, Planes, RawFrame, SafeFrame, Size
from vbgcam.render.composer import Composer

TOP = Path(__file__).resolve().parents[1]
PACKAGE = TOP / "vbgcam"
SIZE = Size(4, 4)


def planes(luma: int) -> Planes:
    return Planes.filled(SIZE, (luma, 128, 128)).frozen()


@pytest.fixture
def safe() -> SafeFrame:
    return Composer(SIZE).cover(Backdrop(planes(60)))


@pytest.mark.parametrize("given", [(), (planes(60), 0.0, False)])
def test_the_class_cannot_be_called(given: tuple[object, ...]) -> None:
    anything: Any = SafeFrame
    with pytest.raises(TypeError):
        anything(*given)


def test_it_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError, match="subclassed"):
        type("Loophole", (SafeFrame,), {"__init__": lambda self: None})


@pytest.mark.parametrize(
    "forge",
    [
        copy.copy,
        copy.deepcopy,
        lambda frame: copy.deepcopy([frame]),
        lambda frame: dataclasses.replace(frame, planes=planes(200)),
        *(lambda frame, p=protocol: pickle.dumps(frame, p) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ],
)
def test_one_cannot_be_turned_into_another(safe: SafeFrame, forge: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError):
        forge(safe)


@pytest.mark.parametrize("name", ["planes", "captured_at", "cover", "anything"])
def test_it_cannot_be_changed(safe: SafeFrame, name: str) -> None:
    with pytest.raises(AttributeError, match="read-only"):
        setattr(safe, name, planes(200))
    with pytest.raises(AttributeError, match="read-only"):
        delattr(safe, name)


def test_its_pixels_cannot_be_written(safe: SafeFrame) -> None:
    for plane in (safe.planes.data, safe.planes.y, safe.planes.u, safe.planes.v):
        with pytest.raises(ValueError, match="read-only"):
            plane[...] = 200


@pytest.mark.parametrize("other", [RawFrame(planes(200), 0.0), Backdrop(planes(200)), planes(200)])
def test_no_other_value_becomes_one(other: Any) -> None:
    with pytest.raises(TypeError):
        other.__class__ = SafeFrame
    with pytest.raises(TypeError):
        object.__setattr__(other, "__class__", SafeFrame)
    assert not isinstance(other, SafeFrame)


def test_an_empty_shell_cannot_be_filled() -> None:
    shell = SafeFrame.__new__(SafeFrame)
    with pytest.raises(AttributeError, match="read-only"):
        shell.planes = planes(200)  # type: ignore[misc]  # what is tried here
    with pytest.raises(AttributeError):
        _ = shell.planes


def test_the_seal_is_handed_out_once() -> None:
    with pytest.raises(RuntimeError, match="compose alone"):
        frames.claim_seal()


def test_compose_itself_does_not_get_it_again() -> None:
    with pytest.raises(RuntimeError, match="compose alone"):
        importlib.reload(vbgcam.render.composer)


def test_whoever_takes_it_first_keeps_compose_from_starting() -> None:
    script = "from vbgcam.core.frames import claim_seal; claim_seal(); import vbgcam.render.composer"
    done = subprocess.run([sys.executable, "-c", script], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError: the seal of SafeFrame is taken" in done.stderr


def test_what_compose_makes_is_read_only_whatever_it_was_given() -> None:
    writable = Planes.filled(SIZE, (60, 128, 128))
    composer = Composer(SIZE)
    made = [
        composer.cover(Backdrop(writable)),
        composer.compose(RawFrame(writable, 0.0), Mask(np.zeros((4, 4), np.uint8), 0.0), Backdrop(writable)),
    ]
    assert [frame.planes.data.flags.writeable for frame in made] == [False, False]
    assert not any(np.shares_memory(frame.planes.data, writable.data) for frame in made)


# What the type checker says, line by line: `# refused` marks what must not pass, all else must.
SNIPPET = """\
from vbgcam.render import Composer
from vbgcam.core.frames import Backdrop, Mask, Planes, RawFrame, SafeFrame
from vbgcam.output import Output
from vbgcam.core.policy import Compose


def ways(
    out: Output, composer: Composer, raw: RawFrame, mask: Mask, maybe: Mask | None, back: Backdrop, planes: Planes
) -> None:
    out.send(composer.compose(raw, mask, back), 0.0)
    out.send(composer.cover(back), 0.0)
    out.send(raw, 0.0)  # refused
    out.send(back, 0.0)  # refused
    out.send(planes, 0.0)  # refused
    out.send(raw.planes, 0.0)  # refused
    out.send(SafeFrame(planes, 0.0, False), 0.0)  # refused
    composer.cover(raw)  # refused
    composer.compose(raw, maybe, back)  # refused
    composer.compose(raw, None, back)  # refused
    composer.compose(raw, mask, raw)  # refused
    Compose(raw, maybe)  # refused
    composer.cover(back).planes = raw.planes  # refused
"""


def test_the_type_checker_refuses_everything_but_a_composed_frame(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--follow-imports", "silent"]
    done = subprocess.run([*command, str(snippet)], cwd=TOP, capture_output=True, text=True, check=False)
    wrong = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    assert wrong == {n for n, line in enumerate(SNIPPET.splitlines(), 1) if "# refused" in line}, done.stdout


def around_the_seal(source: str) -> set[str]:
    """The words by which a module could come by SafeFrames of its own: the seal and what guards it, however they are
    reached, and in a module that knows SafeFrame, the ways around a constructor and around the type checker."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.Constant(value=str(word)):
                words.add(word)
            case ast.alias(name=word):
                words.add(word.rpartition(".")[2])
    forbidden = {"claim_seal", "_seal", "_unclaimed"}
    if "SafeFrame" in words:
        forbidden |= {"__new__", "__set__", "__setattr__", "cast"}
    return words & forbidden


@pytest.mark.parametrize(
    "source",
    [
        "from vbgcam.core.frames import claim_seal",
        "from vbgcam.core.frames import claim_seal as harmless",
        "import vbgcam.core.frames as f\nf.claim_seal()",
        "import vbgcam.core.frames as f\ngetattr(f, 'claim_seal')()",
        "import vbgcam.core.frames as f\nf._unclaimed.append(True)",
        "from vbgcam.render.composer import _seal",
        "from vbgcam.render import composer\ncomposer._seal(planes, None, False)",
        "from vbgcam.core.frames import SafeFrame\nframe = SafeFrame.__new__(SafeFrame)",
        "from vbgcam.core.frames import SafeFrame\nframe = object.__new__(SafeFrame)",
        "from vbgcam.core.frames import SafeFrame\nSafeFrame.planes.__set__(frame, raw.planes)",
        "from vbgcam.core import frames\nobject.__setattr__(frames.SafeFrame, 'planes', 1)",
        "from typing import cast\nfrom vbgcam.core.frames import SafeFrame\nframe = cast(SafeFrame, raw)",
        "from typing import cast\nframe = cast('SafeFrame', raw)",
    ],
)
def test_the_scan_sees_every_way_around(source: str) -> None:
    assert around_the_seal(source)


def test_no_module_but_compose_reaches_for_the_seal() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): around_the_seal(path.read_text()) for path in PACKAGE.rglob("*.py")}
    assert found["render/composer.py"] == {"claim_seal", "_seal"}
    assert {name for name, words in found.items() if words} == {"render/composer.py", "core/frames.py"}

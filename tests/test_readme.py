"""Every command line of the README and of the packages' own is run, with stand-ins for the files that a person has: a
line that is not understood here is one that nobody has tried, and fails."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.support import pipewire_desktop
from tests.support.clips import film, rooms, true_masks
from tests.support.datasets import CocoMaker, made_aisegment, picture
from tests.support.networks import middle
from tests.support.users import PATIENCE, User
from vbgcam.background.gallery import SHIPPED
from vbgcam.camera.demo import PLATE
from vbgcam.control.verb import VERBS
from vbgcam.media import images
from vbgcam.output.loopback import LOAD, PERMIT

TOP = Path(__file__).resolve().parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "vbgcam").glob("*/README.md")), TOP / "packaging" / "README.md"]
README = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
_BEGINS = r"(?:\w+=\S+ )*(?:vbgcam|packaging/\w+|sudo|pip|pytest)"
# What stands for somebody's own in the README, and the stand-in's name.
STANDS_FOR = {
    "FILM": "talk.mp4", "CLIP": "talk.mp4", "TALK.mp4": "talk.mp4", "film.mp4": "talk.mp4", "file:CLIP?loop=1":
    "file:talk.mp4?loop=1", "ALPHA": "alpha.mkv", "ALPHA.mkv": "alpha.mkv", "MASKS.mkv": "alpha.mkv", "truth:ALPHA":
    "truth:alpha.mkv", "M": "onnx:selfie.onnx", "onnx:...": "onnx:selfie.onnx", "fcn_resnet101": "onnx:selfie.onnx",
    "plate:ROOM.png": "plate:room.png", "PICTURE": "beach.jpg", "B": "beach.jpg", "X": "beach.jpg", "S": "demo",
    "FILE.jpg": "sheet.jpg",
    "FILE": "file.txt", "NAME=VALUE": "mask.preset=fast", "OUT.mp4": "out.mp4", "/somewhere": "somewhere",
}  # fmt: skip


def commands() -> list[str]:
    """In blocks and in the text, once each, without what is said behind them."""
    blocks = re.findall(rf"^ {{4,}}({_BEGINS}(?: .+)?)$", README, re.MULTILINE)
    spans = re.findall(rf"`({_BEGINS}(?: [^`\n]+)?)`", README)
    found = (re.sub(r"\s+#.*", "", line).strip() for line in (*blocks, *spans))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Who has all that the README speaks of."""
    folder = tmp_path_factory.mktemp("reader")
    user = User(folder)
    shutil.copy(SHIPPED / "Bright studio.jpg", folder / "beach.jpg")
    (folder / "Pictures").mkdir()
    shutil.copy(folder / "beach.jpg", folder / "Pictures")
    user.env["HOME"] = str(folder)
    film(folder / "talk.mp4", rooms(12))
    true_masks(folder / "alpha.mkv", 12)
    middle(folder / "selfie.onnx")
    shutil.copy(folder / "beach.jpg", folder / "data_home/vbgcam/backgrounds")
    for plate in (folder / "room.png", folder / "data_home/vbgcam/plate.png"):
        images.write(plate, images.read(PLATE).rgb)
    for name in ("pairs/a.jpg", "pairs/a_mask.png"):
        picture(folder / name, mode="L" if "mask" in name else "RGB")
    made_aisegment(folder / "aisegment")
    made = CocoMaker(folder / "coco")
    made.image(1, 64, 48)
    made.thing(1, 1, (10, 10, 40, 40))
    made.write()
    return user


def words(line: str) -> list[str]:
    """As a shell makes them, with the stand-ins in their places."""
    found = shlex.split(line)
    for option in ("--pairs", "--aisegment", "--coco"):
        if option in found:
            found[found.index(option) + 1] = option.removeprefix("--")
    return [STANDS_FOR.get(word, word) for word in found]


def run(user: User, line: Sequence[str], codes: Sequence[int] = (0,)) -> str:
    expanded = list(itertools.chain.from_iterable(unglobbed(user, word) for word in line))
    done = subprocess.run(
        [sys.executable, "-m", "vbgcam", *expanded],
        cwd=user.folder,
        env={**user.env, "PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode in codes, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@contextmanager
def pipewire(user: User) -> Iterator[None]:
    """A session of PipeWire's, where there can be one."""
    pipewire_desktop.skip_without()
    with pipewire_desktop.PipeWireDesktop() as desktop:
        before = dict(user.env)
        # PipeWire is found in the runtime folder.
        user.env |= {name: value for name, value in desktop.environment.items() if "RUNTIME" in name or "DBUS" in name}
        yield
        user.env = before


def unglobbed(user: User, word: str) -> list[str]:
    if word.startswith("~/"):
        return [str(user.folder / word[2:])]
    return sorted(path.name for path in user.folder.glob(word)) if "*" in word else [word]


OURS = [line for line in commands() if line.startswith("vbgcam ")]
OF_THE_RUNNING_ONE = [line for line in OURS if line.split()[1] in VERBS]


def test_there_are_as_many_as_one_sees() -> None:
    assert len(OURS) > 40
    assert {"vbgcam", "packaging/demo", "packaging/test", "sudo"} <= {line.split()[0] for line in commands()}


@pytest.mark.parametrize("line", [line for line in OURS if line not in OF_THE_RUNNING_ONE])
def test_a_line_of_the_readme_works(user: User, line: str) -> None:
    _, verb, *rest = words(line)
    if verb == "run":
        fallback = {"--source": "demo", "--sink": "null", "--model": "chroma", "--duration": "1"}
        for option, value in fallback.items():
            if option not in rest:
                rest += [option, value]
        rest[rest.index("--duration") + 1] = "1"
        with pipewire(user) if "pipewire" in rest else nullcontext():
            run(user, [verb, *rest, "--no-tray", "--set", "camera.size=160x120"])
    elif verb in ("image", "video"):
        run(user, [verb, *rest, *([] if "--model" in rest else ["--model", "onnx:selfie.onnx"])])
    elif verb == "bench":
        small = {"--size": "128x96", "--seconds": "0.5"}
        given = [small.get(before, word) for before, word in itertools.pairwise(["", *rest])]
        run(user, [verb, "--quick", *itertools.chain.from_iterable(small.items()), *given])
    elif verb == "plate":
        # The presenter does not leave the room, and a film of it does not move.
        film(user.folder / "still.mkv", rooms(1) * 60, codec="ffv1")
        run(user, [verb, *rest, "--source", "file:still.mkv", "--delay", "0", "-o", "taken.png"])
    elif verb == "models" and rest[0] == "add":
        run(user, [verb, "add", "selfie.onnx"])
    elif verb == "models" and rest[0] in ("fetch", "remove"):
        assert "selfie" in run(user, [verb, rest[0], "selfie"], (1,)), "there is neither a connection nor a file"
    elif verb == "doctor":
        assert "libraries" in run(user, [verb, *rest], (0, 1))
    else:
        run(user, [verb, *rest])


def test_the_lines_for_the_running_program_work(user: User) -> None:
    with user.running():
        for line in OF_THE_RUNNING_ONE:
            _, verb, *rest = words(line)
            if verb == "quit":
                continue
            if verb == "tray":
                pytest.fail("the icon is started by the program itself")
            rest += ["--print"] if verb == "panel" else []
            run(user, [verb, *rest], (1,) if rest == ["cancel"] else (0,))  # nothing is being downloaded
        run(user, ["quit"])
    assert any(line == "vbgcam quit" for line in OF_THE_RUNNING_ONE)


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[0] == "sudo"])
def test_a_line_for_root_is_one_that_the_program_gives_or_that_apt_knows(line: str) -> None:
    known = (LOAD, PERMIT.partition(",")[0], "sudo apt purge vbgcam")
    if line in known or line.startswith("sudo apt install ./"):
        return
    assert line.startswith("sudo apt install "), line
    names = line.split()[3:]
    if shutil.which("apt-cache") is None:
        pytest.skip("no apt here to ask for packages")
    for name in names:
        told = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True, check=False)
        lists = subprocess.run(["apt-cache", "show", "bash"], capture_output=True, check=False)
        if lists.returncode:
            pytest.skip("apt has no lists here")
        assert f"Package: {name}" in told.stdout


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[0].startswith("packaging/")])
def test_a_script_of_the_readme_is_there(line: str) -> None:
    script = TOP / line.split(maxsplit=1)[0]
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.stat().st_mode & 0o100


@pytest.mark.parametrize(
    "line", [line for line in commands() if "pytest" in line or ("packaging/test " in line and "tests/" in line)]
)
def test_a_line_for_tests_names_tests_that_there_are(line: str) -> None:
    asked = shlex.split(re.sub(r"^(\w+=\S+ )*", "", line))[1:]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *asked]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "SKIPPED" in done.stdout, done.stdout[-2000:]


@pytest.mark.parametrize("line", [line for line in commands() if line.split()[0] == "pip"])
def test_an_extra_of_the_readme_is_one_of_the_packages(line: str) -> None:
    extras = re.findall(r"vbgcam\[(\w+)\]", line)
    text = (TOP / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", text, re.MULTILINE) for extra in extras), line

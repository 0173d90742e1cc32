"""The Debian package's commands `vbgcam` and `vbgcam-setup`, as a user without rights runs them: with the system's own
Python and pip, and an index of small packages in place of the real ones, which take gigabytes."""

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.users import wait
from vbgcam import __version__
from vbgcam.doctor.installation import pip

TOP = Path(__file__).resolve().parents[1]
DEBIAN = TOP / "packaging" / "debian"

if not (Path("/usr/bin/apt-get").exists() and os.access("/usr/bin/python3", os.X_OK)):
    pytest.skip("not Debian", allow_module_level=True)
if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False, capture_output=True).returncode:
    pytest.skip("/usr/bin/python3 makes no environments: apt-get install python3-venv", allow_module_level=True)

MODULES = ("cv2", "av", "numba", "openvino", "PIL", "pydantic", "aiohttp", "pyvirtualcam")


@dataclass(frozen=True)
class Computer:
    """The package's files in a folder of their own, a home, and two indexes."""

    root: Path

    @property
    def library(self) -> Path:
        return self.root / "library"

    @property
    def place(self) -> Path:
        return self.root / "home" / "vbgcam"

    @property
    def environment(self) -> Path:
        return self.place / "env"

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        env |= {
            "HOME": str(self.root / "home"),
            "XDG_DATA_HOME": str(self.root / "home"),
            "PIP_CONFIG_FILE": os.devnull,
        }
        env["PIP_INDEX_URL"] = self.index("all").as_uri()
        return subprocess.Popen(
            [self.root / "bin" / command, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, *arguments: str) -> tuple[int, str]:
        """The exit code, and what was said."""
        process = self.start(command, *arguments)
        said = process.communicate(timeout=200)[0]
        return process.returncode, said

    def index(self, name: str) -> Path:
        return self.root / "index" / name

    def publish(self, index: str, name: str, version: str = "1", **files: str) -> None:
        """Puts a wheel with these modules into an index."""
        folder = self.index(index) / name
        folder.mkdir(parents=True, exist_ok=True)
        info = f"{name}-{version}.dist-info"
        files |= {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        path = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as file:
            lines = []
            for place, text in files.items():
                file.writestr(place, text)
                digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
                lines.append(f"{place},sha256={digest},{len(text.encode())}")
            file.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (folder / "index.html").write_text(f'<a href="{path.name}#sha256={digest}">{path.name}</a>')


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    """With an index that lacks nothing, and one for PyTorch's builds without CUDA, which has none."""
    computer = Computer(tmp_path)
    for folder in ("bin", "library", "home", "index/all", "index/cpu"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("vbgcam", "vbgcam-setup"):
        text = (DEBIAN / name).read_text()
        # Nothing of a vbgcam that is installed here is looked at.
        text = text.replace("/usr/lib/vbgcam", str(computer.library)).replace(
            "/usr/bin/vbgcam", f"{tmp_path}/bin/vbgcam"
        )
        text = text.replace("/var/lib/vbgcam", f"{tmp_path}/var").replace('"$(id -u)" = 0', "0 = 1")
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (computer.library / "python").symlink_to(TOP)
    (computer.library / "torch-packages").write_text("torch>=2\ntorchvision>=0.2\n")
    (computer.library / "other-packages").write_text("libraries>=1\nextras>=1\n")
    (computer.library / "needs").write_text("a\n")
    (computer.library / "torch-cpu-index").write_text(computer.index("cpu").as_uri() + "\n")
    computer.publish("all", "libraries", **{f"{name}.py": "" for name in MODULES})
    computer.publish("all", "extras")
    computer.publish("all", "torch", "2.5", **{"torch.py": "class version:\n    cuda = '13.0'\n"})
    computer.publish("all", "torchvision", "0.3", **{"torchvision.py": ""})
    return computer


def test_before_the_set_up_one_line_says_what_to_do(computer: Computer) -> None:
    code, said = computer.run("vbgcam", "run")
    assert code == 1
    assert len(said.splitlines()) == 1
    assert "vbgcam-setup" in said


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_what_needs_no_packages_is_answered_without_them(computer: Computer, argument: str) -> None:
    code, said = computer.run("vbgcam", argument)
    assert code == 0
    assert said.startswith(f"vbgcam {__version__}" if argument == "--version" else "usage: vbgcam ")


def test_without_a_choice_and_without_anybody_to_ask_it_says_which(computer: Computer) -> None:
    code, said = computer.run("vbgcam-setup")
    assert code == 1
    assert re.fullmatch(r"vbgcam-setup: say which: vbgcam-setup (cpu|cuda) .*\n", said)
    assert not computer.place.exists()


@pytest.mark.parametrize("arguments", [["gpu"], ["--all"]])
def test_a_wrong_word_is_answered_with_the_usage(computer: Computer, arguments: list[str]) -> None:
    code, said = computer.run("vbgcam-setup", *arguments)
    assert code == 2
    assert said.startswith("usage: vbgcam-setup [cuda|cpu|none]")


def test_a_set_up_makes_an_environment_in_which_the_program_runs(computer: Computer) -> None:
    code, said = computer.run("vbgcam-setup", "none")
    assert code == 0, said
    assert computer.environment.is_symlink()
    assert {path.name for path in computer.place.iterdir()} == {
        "env",
        "setup.lock",
        computer.environment.readlink().name,
    }
    assert computer.run("vbgcam", "--version") == (0, f"vbgcam {__version__}\n")
    told = computer.run("vbgcam-setup", "status")
    assert told[0] == 0
    assert told[1].startswith(f"{computer.environment}: no PyTorch")
    python = computer.environment / "bin" / "python"
    where = "import sys, vbgcam; print(vbgcam.__file__, sys.prefix)"
    program, prefix = subprocess.check_output([python, "-P", "-c", where], text=True, cwd=computer.root).split()
    assert Path(program).samefile(TOP / "vbgcam" / "__init__.py")
    assert prefix == str(computer.environment)
    # What "Start at login" writes down.
    started = [str(computer.environment / "bin" / "vbgcam"), "--version"]
    env = {**os.environ, "XDG_DATA_HOME": str(computer.root / "home")}
    assert subprocess.check_output(started, text=True, env=env) == f"vbgcam {__version__}\n"

    assert computer.run("vbgcam-setup", "remove") == (0, "")
    assert not computer.place.exists()
    assert computer.run("vbgcam-setup", "status") == (1, "no environment yet: vbgcam-setup makes one\n")


def test_what_was_killed_goes_on_from_there_and_leaves_no_half(computer: Computer) -> None:
    process = computer.start("vbgcam-setup", "none")
    fetched = computer.place / "downloads" / "libraries-1-py3-none-any.whl"
    wait(fetched.exists, "the first package")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not computer.environment.exists()
    assert computer.run("vbgcam", "run")[0] == 1

    code, said = computer.run("vbgcam-setup", "none")
    assert code == 0, said
    assert "1 of 2" not in said
    assert "2 of 2: extras" in said
    assert len(list(computer.place.glob("env.*"))) == 1


def test_the_environment_before_serves_until_the_new_one_is_whole(computer: Computer) -> None:
    before = "env.before"
    (computer.place / before / "bin").mkdir(parents=True)
    (computer.place / before / "bin" / "python").symlink_to(sys.executable)
    (computer.place / before / "ready").write_text("a\n")
    computer.environment.symlink_to(before)
    computer.publish("all", "libraries", "2", **{f"{name}.py": "" for name in MODULES if name != "cv2"})
    code, said = computer.run("vbgcam-setup", "none")
    assert code == 1
    assert "cv2 was installed but cannot be loaded" in said
    assert computer.environment.readlink() == Path(before)
    assert (computer.environment / "ready").exists()


def test_torch_for_the_cpu_comes_from_its_own_index_with_its_own_torchvision(computer: Computer) -> None:
    computer.publish("cpu", "torch", "2.4+cpu", **{"torch.py": "class version:\n    cuda = None\n"})
    computer.publish("cpu", "torchvision", "0.2+cpu", **{"torchvision.py": ""})
    code, said = computer.run("vbgcam-setup", "cpu")
    assert code == 0, said
    site = next(computer.environment.glob("lib/python3*/site-packages"))
    assert {path.name for path in site.glob("torch*.dist-info")} == {
        "torch-2.4+cpu.dist-info",
        "torchvision-0.2+cpu.dist-info",
    }


def test_a_torch_with_cuda_is_not_taken_for_one_without(computer: Computer) -> None:
    computer.publish("cpu", "torch", "2.5", **{"torch.py": "class version:\n    cuda = '13.0'\n"})
    computer.publish("cpu", "torchvision", "0.3", **{"torchvision.py": ""})
    code, said = computer.run("vbgcam-setup", "cpu")
    assert code == 1
    assert "is one for CUDA 13.0" in said
    assert not computer.environment.exists()


def test_two_set_ups_at_once_do_not_meet(computer: Computer) -> None:
    computer.place.mkdir(parents=True)
    lock = computer.place / "setup.lock"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as holder:
        wait(lambda: subprocess.run(["flock", "-n", lock, "true"], check=False).returncode != 0, "the lock is held")
        code, said = computer.run("vbgcam-setup", "none")
        holder.communicate()
    assert code == 1
    assert "another vbgcam-setup is at work" in said


def test_the_doctor_names_what_made_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert pip("numpy") == f"{sys.executable} -m pip install numpy"
    (tmp_path / "choice").write_text("cpu\n")
    assert pip("numpy") == "vbgcam-setup"
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path), mode) != (tmp_path / "choice", os.W_OK))
    assert pip("numpy") == "sudo vbgcam-setup"


def test_an_environment_that_does_not_fit_any_more_is_said(computer: Computer) -> None:
    bin_folder = computer.environment / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").write_text('#!/bin/sh\necho "$@"\n')
    (bin_folder / "python").chmod(0o755)
    (computer.environment / "ready").write_text("a\n")
    assert computer.run("vbgcam", "run", "x y") == (0, "-P -m vbgcam run x y\n")
    (computer.environment / "ready").write_text("b\n")
    code, said = computer.run("vbgcam", "run")
    assert code == 0
    assert "wants other Python packages" in said
    assert said.endswith("-P -m vbgcam run\n")
    (bin_folder / "python").unlink()
    code, said = computer.run("vbgcam", "run")
    assert code == 1
    assert "is gone" in said

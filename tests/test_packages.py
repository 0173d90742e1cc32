"""packages: the wheel and the sdist, and the Debian package with all that it brings, as they are handed out."""

import configparser
import email
import email.message
import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vbgcam import __version__
from vbgcam.cli.parser import command_line

TOP = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
BUILDERS = ("build", "shtab", "argparse_manpage")

if sys.platform == "win32":
    pytest.skip("packages are built by shell scripts", allow_module_level=True)
if missing := [name for name in BUILDERS if importlib.util.find_spec(name) is None]:
    pytest.skip(f"nothing builds packages here: pip install 'vbgcam[package]' ({missing})", allow_module_level=True)


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, ok: bool = True) -> str:
    """What it said on both streams. `env`: on top of ours."""
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )
    assert not ok or done.returncode == 0, done.stdout
    return done.stdout


def tool(name: str) -> str:
    """A command's path, or a skip that names it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, as the one command makes them."""
    folder = tmp_path_factory.mktemp("dist")
    run(TOP / "packaging" / "wheel", folder, env={"PYTHON": sys.executable})
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"vbgcam-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def outside(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment which has the wheel, and our environment's libraries, but not our vbgcam."""
    folder = tmp_path_factory.mktemp("outside")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel)
    # `addsitedir` would read our .pth files as well, and with them an editable vbgcam.
    paths = {sysconfig.get_path(name) for name in ("purelib", "platlib")} | set(_site_folders())
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in sorted(paths)))
    return folder / "bin"


def _site_folders() -> list[str]:
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def outsider(outside: Path, tmp_path: Path, *arguments: str) -> str:
    """What the wheel's vbgcam says, in a folder which holds nothing."""
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": ""}
    ok = arguments[0] != "doctor"  # what is wrong with this machine is no fault of the wheel
    return run(outside / "vbgcam", *arguments, env=env, cwd=tmp_path, ok=ok)


def test_the_wheel_holds_the_program_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        path.relative_to(TOP).as_posix()
        for path in (TOP / "vbgcam").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }
    info = f"vbgcam-{__version__}.dist-info"
    assert {name for name in names if not name.startswith(info)} == ours
    assert {"vbgcam/py.typed", "vbgcam/desktop/panel/index.html", "vbgcam/report/assets/style.css"} <= names
    assert {"vbgcam/background/pictures/Hills at dusk.jpg", "vbgcam/camera/presenter/clip.mp4"} <= names
    assert wheel.stat().st_size < 6_000_000
    assert any(name.startswith("vbgcam/segment/cards/") and name.endswith(".toml") for name in names)
    assert f"{info}/licenses/LICENSE" in names


def test_the_wheel_says_what_it_needs_and_how_it_is_called(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        info = f"vbgcam-{__version__}.dist-info"
        told = email.message_from_bytes(file.read(f"{info}/METADATA"))
        entries = configparser.ConfigParser()
        entries.read_string(file.read(f"{info}/entry_points.txt").decode())
    assert told["Version"] == __version__
    assert told["License-Expression"] == PROJECT["license"]
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) == len(PROJECT["dependencies"])
    assert dict(entries["console_scripts"]) == {"vbgcam": "vbgcam.cli.main:program"}


def test_the_sdist_holds_what_it_takes_to_build_and_to_test(built: Path) -> None:
    with tarfile.open(built / f"vbgcam-{__version__}.tar.gz") as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    wanted = {"tests/conftest.py", "packaging/deb", "packaging/test", "CHANGELOG.md", "config.example.toml", "LICENSE"}
    assert wanted <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "build/", "dist/"))]


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config", "example"], ["doctor", "--json"]])
def test_the_wheel_runs_outside_the_checkout(outside: Path, tmp_path: Path, arguments: list[str]) -> None:
    said = outsider(outside, tmp_path, *arguments)
    match arguments:
        case ["--version"]:
            assert said == f"vbgcam {__version__}\n"
        case ["--help"]:
            assert "puts you before another background" in said
        case ["config", "example"]:
            assert said == (TOP / "config.example.toml").read_text()
        case _:
            checks = json.loads(said)["checks"]
            assert next(check for check in checks if check["name"] == "libraries")["state"] == "ok"


def test_the_wheel_makes_a_film_outside_the_checkout(outside: Path, tmp_path: Path) -> None:
    outsider(outside, tmp_path, "demo", "--duration", "1", "-o", str(tmp_path / "film"), "--set", "camera.size=320x240")
    assert (tmp_path / "film" / "vbgcam-demo.mp4").stat().st_size > 1000


@pytest.fixture(scope="module")
def said_by_deb(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The Debian package, and what the command said that made it."""
    tool("dpkg-deb")
    folder = tmp_path_factory.mktemp("deb")
    said = run(TOP / "packaging" / "deb", folder, env={"PYTHON": sys.executable, "SOURCE_DATE_EPOCH": "1700000000"})
    return folder / f"vbgcam_{__version__}_all.deb", said


@pytest.fixture(scope="module")
def deb(said_by_deb: tuple[Path, str]) -> Path:
    return said_by_deb[0]


@pytest.fixture(scope="module")
def tree(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the Debian package, unpacked."""
    folder = tmp_path_factory.mktemp("tree")
    run("dpkg-deb", "-x", deb, folder)
    return folder


@pytest.fixture(scope="module")
def control(deb: Path) -> email.message.Message:
    return email.message_from_string(run("dpkg-deb", "-f", deb))


def test_the_package_is_small_and_says_what_it_needs(deb: Path, control: email.message.Message) -> None:
    assert deb.stat().st_size < 6_000_000
    assert control["Version"] == __version__
    assert control["Architecture"] == "all"
    assert {"python3 (>= 3.11)", "python3-venv", "libgl1", "libxcb1"} <= set(control["Depends"].split(", "))
    assert "v4l2loopback-dkms" in control["Recommends"].split(", ")


def test_the_package_holds_all_that_a_desktop_wants(tree: Path) -> None:
    for place in (
        "etc/xdg/autostart/vbgcam.desktop",
        "usr/bin/vbgcam",
        "usr/bin/vbgcam-setup",
        "usr/lib/modprobe.d/50-vbgcam.conf",
        "usr/lib/modules-load.d/vbgcam.conf",
        "usr/lib/systemd/user/vbgcam.service",
        "usr/lib/vbgcam/python/vbgcam/desktop/panel/index.html",
        "usr/share/applications/vbgcam.desktop",
        "usr/share/bash-completion/completions/vbgcam",
        "usr/share/doc/vbgcam/copyright",
        "usr/share/fish/vendor_completions.d/vbgcam.fish",
        "usr/share/icons/hicolor/scalable/apps/vbgcam.svg",
        "usr/share/man/man1/vbgcam-setup.1.gz",
        "usr/share/man/man1/vbgcam.1.gz",
        "usr/share/metainfo/io.github.vbgcam.vbgcam.metainfo.xml",
        "usr/share/zsh/vendor-completions/_vbgcam",
    ):
        assert (tree / place).is_file(), place
    assert not list(tree.rglob("__pycache__"))
    assert not list(tree.rglob("test_*.py"))


def test_nobody_but_root_may_write_to_what_the_package_brings(deb: Path) -> None:
    listed = run("dpkg-deb", "-c", deb).splitlines()
    assert all(line.split()[1] == "root/root" and line[5] == line[8] == "-" for line in listed)


def test_the_same_source_gives_the_same_package(deb: Path, tmp_path: Path) -> None:
    again = {"PYTHON": sys.executable, "SOURCE_DATE_EPOCH": "1700000000", "PATH": _without(tmp_path / "few", "lintian")}
    run(TOP / "packaging" / "deb", tmp_path, env=again)
    assert _hash(tmp_path / deb.name) == _hash(deb)


def _without(folder: Path, *names: str) -> str:
    """A PATH without these commands: they cost time, or would be asked."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(":")):
        for path in Path(place).glob("*"):
            link = folder / path.name
            if path.name not in names and path.is_file():
                link.unlink(missing_ok=True)
                link.symlink_to(path)
    return str(folder)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("judge", ["lintian", "desktop-file-validate", "appstreamcli"])
def test_a_judge_has_nothing_to_object_to(said_by_deb: tuple[Path, str], judge: str) -> None:
    """An objection would have ended the build."""
    tool(judge)
    assert f"{judge}: nothing to object to" in said_by_deb[1]


def test_a_build_ends_where_a_judge_objects(tmp_path: Path) -> None:
    tool("dpkg-deb")
    judge = tmp_path / "bin" / "desktop-file-validate"
    judge.parent.mkdir()
    judge.write_text("#!/bin/sh\necho 'error: this is no entry'\nexit 1\n")
    judge.chmod(0o755)
    path = f"{judge.parent}:{_without(tmp_path / 'few', 'lintian', 'appstreamcli')}"
    said = run(TOP / "packaging" / "deb", tmp_path, env={"PYTHON": sys.executable, "PATH": path}, ok=False)
    assert "this is no entry" in said
    assert "desktop-file-validate objects" in said
    assert not list(tmp_path.glob("*.deb"))


def test_the_module_makes_a_camera_that_browsers_list(tree: Path) -> None:
    lines = _lines(tree / "usr/lib/modprobe.d/50-vbgcam.conf")
    assert lines == ['options v4l2loopback devices=1 video_nr=10 card_label="VBG Camera" exclusive_caps=1']
    assert _lines(tree / "usr/lib/modules-load.d/vbgcam.conf") == ["v4l2loopback"]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_systemd_understands_every_word_of_the_unit(tree: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    unit = tmp_path / "vbgcam.service"
    text = (tree / "usr/lib/systemd/user/vbgcam.service").read_text()
    unit.write_text(text.replace("/usr/lib/vbgcam", str(tree / "usr/lib/vbgcam")))
    env = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert run(analyze, "verify", "--user", "--man=no", unit, env=env) == ""
    for line in ("Type=notify", "WatchdogSec=30", "NoNewPrivileges=yes", "SystemCallFilter=@system-service"):
        assert line in text.splitlines()


def test_nothing_starts_by_itself_until_somebody_asks_for_it(tree: Path) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(tree / "etc/xdg/autostart/vbgcam.desktop")
    assert entry["Desktop Entry"]["Hidden"] == "true"
    assert not list(tree.rglob("*.wants"))


def test_the_metadata_is_of_this_version_and_starts_the_menus_entry(tree: Path) -> None:
    root = ET.parse(next((tree / "usr/share/metainfo").glob("*.xml"))).getroot()
    release = root.find("releases/release")
    assert release is not None
    assert (release.get("version"), release.get("date")) == (__version__, "2023-11-14")
    launched = root.findtext("launchable") or ""
    assert (tree / "usr/share/applications" / launched).is_file()


def verbs() -> Sequence[str]:
    return next(list(action.choices) for action in command_line()._actions if action.dest == "verb" and action.choices)


def test_the_manual_page_has_every_verb_and_no_fault(tree: Path, tmp_path: Path) -> None:
    for page in ("vbgcam.1", "vbgcam-setup.1"):
        text = gzip.decompress((tree / f"usr/share/man/man1/{page}.gz").read_bytes()).decode()
        (tmp_path / page).write_text(text)
    text = (tmp_path / "vbgcam.1").read_text()
    assert [verb for verb in verbs() if f"'vbgcam {verb}'" not in text] == []
    man = tool("man")
    for page in ("vbgcam.1", "vbgcam-setup.1"):
        said = run(man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", tmp_path / page, env={"MANWIDTH": "80"})
        assert "warning" not in said


def test_bash_completes_verbs_options_and_files(tree: Path, tmp_path: Path) -> None:
    bash = tool("bash")
    (tmp_path / "beach.toml").touch()
    script = """
        source "$1"; shift
        COMP_WORDS=(vbgcam "$@"); COMP_CWORD=$#; COMP_LINE="vbgcam $*"; COMP_POINT=${#COMP_LINE}
        $(complete -p vbgcam | sed 's/.*-F \\([^ ]*\\).*/\\1/') 2>/dev/null
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    completion = tree / "usr/share/bash-completion/completions/vbgcam"

    def proposed(*words: str) -> list[str]:
        return run(bash, "-c", script, "bash", completion, *words, cwd=tmp_path).split()

    assert proposed("sta") == ["status"]
    assert "--no-tray" in proposed("run", "--")
    assert proposed("run", "--config", "be") == ["beach.toml"]


def test_zsh_reads_its_completions(tree: Path) -> None:
    run(tool("zsh"), "-n", tree / "usr/share/zsh/vendor-completions/_vbgcam")


def test_fish_completes_verbs(tree: Path) -> None:
    completion = tree / "usr/share/fish/vendor_completions.d/vbgcam.fish"
    said = run(tool("fish"), "--private", "-c", f"source {completion}; complete -C 'vbgcam sta'")
    assert said.split()[0] == "status"


def test_shellcheck_has_nothing_to_warn_of() -> None:
    folder = TOP / "packaging"
    scripts = [folder / name for name in ("deb", "demo", "setup.sh", "test", "tools.sh", "wheel")]
    scripts += [path for path in (folder / "debian").iterdir() if path.read_bytes().startswith(b"#!/bin/")]
    assert len(scripts) == 14
    run(tool("shellcheck"), "--severity=warning", "--exclude=SC2046,SC2154,SC2164", *scripts)

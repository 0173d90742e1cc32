"""The Debian package on a whole Debian 12 with a real systemd: installed, set up, run, watched over, and removed.

It takes five minutes, 300 MB of Debian's packages and 300 MB of Python's, and so runs only where it is asked for:

    VBGCAM_TEST_DEB=1 packaging/test tests/test_debian_whole.py -o timeout=3600

As root, with debootstrap and systemd-container. The machine is a container: it has no kernel of its own, so no
v4l2loopback; the drawn presenter goes nowhere.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.users import wait
from vbgcam import __version__

TOP = Path(__file__).resolve().parents[1]
MIRROR = os.environ.get("VBGCAM_DEBIAN_MIRROR", "")
USER = "anna"
CONFIG = """
[camera]
source = "demo"
size = "640x360"
[model]
name = "chroma"
[output]
sink = "null"
"""

if not os.environ.get("VBGCAM_TEST_DEB"):
    pytest.skip("five minutes: set VBGCAM_TEST_DEB=1", allow_module_level=True)
if os.name != "posix" or os.geteuid() != 0:
    pytest.skip("not root", allow_module_level=True)
for name in ("debootstrap", "systemd-nspawn", "nsenter"):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)


class Debian:
    """A Debian in a folder, which runs."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        self._init = str(init)

    def run(self, script: str, *, user: str = "root", ok: bool = True) -> str:
        """A shell's output, both streams."""
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        if user == "root":
            env["HOME"] = "/root"
        else:
            number = self.run(f"id -u {user}").strip()
            env |= {"HOME": f"/home/{user}", "XDG_RUNTIME_DIR": f"/run/user/{number}"}
            env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path=/run/user/{number}/bus"
        env |= {name: value for name, value in os.environ.items() if name in ("PIP_CERT", "PIP_INDEX_URL")}
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        settings = [f"{key}={value}" for key, value in env.items()]
        done = subprocess.run(
            ["nsenter", "-t", self._init, "-a", *become, "env", "-i", *settings, "sh", "-c", f"cd; {script}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not ok or done.returncode == 0, done.stdout
        return done.stdout

    def files(self) -> set[str]:
        """All but what belongs to users, and to others who write: apt, the journal."""
        script = (
            "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /home "
            "-o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/lib/dpkg "
            "-o -path /var/lib/systemd \\) -prune -o -print"
        )
        return set(self.run(script).splitlines())


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    root = tmp_path_factory.mktemp("debian")
    root.chmod(0o755)
    packages = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,ca-certificates,python3,procps"
    made = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)]
    subprocess.run(made + ([MIRROR] if MIRROR else []), check=True, stdout=subprocess.DEVNULL)
    if certificate := os.environ.get("PIP_CERT"):
        place = root / certificate.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(certificate, place)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "-D", str(root)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as container:
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
        wait(lambda: bool(children.read_text().split()), "the container's first process")
        machine = Debian(root, int(children.read_text().split()[0]))
        running = ("running", "degraded")
        wait(lambda: machine.run("systemctl is-system-running", ok=False).strip() in running, "systemd runs")
        machine.run(f"useradd --create-home {USER} && loginctl enable-linger {USER}")
        wait(
            lambda: machine.run("systemctl --user is-system-running", user=USER, ok=False).strip() in running,
            "a session",
        )
        yield machine
        container.send_signal(signal.SIGTERM)
        container.wait()


def state(debian: Debian, name: str) -> str:
    return debian.run(f"systemctl --user show vbgcam -p {name} --value", user=USER).strip()


def test_the_package_from_its_installation_to_its_removal(debian: Debian, tmp_path: Path) -> None:
    """One test: each step needs the one before."""
    subprocess.run([TOP / "packaging" / "deb", tmp_path], check=True, env={**os.environ, "PYTHON": sys.executable})
    shutil.copy(tmp_path / f"vbgcam_{__version__}_all.deb", debian.root / "root")
    debian.run("apt-get -q update")
    # What it needs of Debian stays when it goes.
    needed = "python3-venv libgl1 libglib2.0-0 libxcb1"
    debian.run(f"apt-get -q install -y --no-install-recommends {needed}")
    before = debian.files()

    said = debian.run(f"apt-get -q install -y --no-install-recommends ./vbgcam_{__version__}_all.deb")
    assert "vbgcam: next, once: vbgcam-setup" in said
    assert "vbgcam-setup" in debian.run("vbgcam run", user=USER, ok=False)

    said = debian.run("vbgcam-setup none")
    assert "4 of 4" in said
    assert debian.run("vbgcam --version", user=USER) == f"vbgcam {__version__}\n"
    checks = json.loads(debian.run("vbgcam doctor --json 2>/dev/null", user=USER, ok=False))["checks"]
    wrong = {check["name"]: check["found"] for check in checks if check["state"] == "wrong"}
    assert wrong.keys() <= {"libraries", "camera", "weights", "virtual camera", "kernel module"}
    assert wrong["libraries"] == "torch and torchvision is not installed"
    debian.run("vbgcam demo --duration 1 -o film && test -s film/vbgcam-demo.mp4", user=USER)

    debian.run(f"mkdir -p .config/vbgcam && cat >.config/vbgcam/config.toml <<'END'{CONFIG}END", user=USER)
    serves(debian)

    debian.run("systemctl --user start vbgcam", user=USER)
    debian.run(f"apt-get -q purge -y vbgcam && rm vbgcam_{__version__}_all.deb")
    wait(lambda: not debian.run("pgrep -f [v]bgcam", ok=False), "the running program ends")
    assert debian.files() - before == set()
    assert debian.run("ls .config/vbgcam film", user=USER).split() == [
        ".config/vbgcam:", "config.toml", "film:", "vbgcam-demo.mp4", "vbgcam-demo.png",
    ]  # fmt: skip


def serves(debian: Debian) -> None:
    """The user service: ready when it says so, alone, watched over, and not tried again where that is of no use."""
    assert state(debian, "ActiveState") == "inactive"
    debian.run("systemctl --user start vbgcam", user=USER)
    assert state(debian, "ActiveState") == "active"
    wait(lambda: state(debian, "StatusText") == "on air", "on air")
    pid = state(debian, "MainPID")
    seen = dict(line.split(":\t") for line in debian.run(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert seen["NoNewPrivs"] == "1"
    assert seen["Seccomp"] == "2"
    assert debian.run("vbgcam run", user=USER, ok=False).startswith(f"vbgcam: vbgcam runs already (process {pid})")

    debian.run(f"kill -KILL {pid}", user=USER)
    wait(lambda: state(debian, "NRestarts") == "1" and state(debian, "ActiveState") == "active", "it comes back")
    debian.run(f"kill -STOP {state(debian, 'MainPID')}", user=USER)
    wait(lambda: state(debian, "NRestarts") == "2", "the watchdog bites")
    wait(lambda: state(debian, "StatusText") == "on air", "on air again")
    debian.run("systemctl --user stop vbgcam", user=USER)
    assert state(debian, "Result") == "success"

    # One that was started by hand goes on.
    debian.run("(vbgcam run >/dev/null 2>&1 &)", user=USER)
    wait(lambda: "on air" in debian.run("vbgcam status", user=USER, ok=False), "on air by hand")
    debian.run("systemctl --user start vbgcam", user=USER)
    assert state(debian, "ActiveState") == "inactive"
    assert state(debian, "Result") == "success"
    debian.run("vbgcam quit", user=USER)
    wait(lambda: not debian.run("pgrep -f [v]bgcam", ok=False), "the one by hand ends")

    debian.run("cp .config/vbgcam/config.toml right && echo '[nonsense]' >>.config/vbgcam/config.toml", user=USER)
    assert "failed" in debian.run("systemctl --user start vbgcam", user=USER, ok=False)
    assert (state(debian, "ActiveState"), state(debian, "NRestarts")) == ("failed", "0")
    debian.run("mv right .config/vbgcam/config.toml && systemctl --user reset-failed", user=USER)

"""The command line as a person meets it: as a process, by its exit code and its lines."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vbgcam import __version__
from vbgcam.cli.main import main
from vbgcam.system.logfile import log_path

pytestmark = pytest.mark.usefixtures("own_home")


def vbgcam(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the program; a traceback is a failure whatever the test asks."""
    command = [sys.executable, "-m", "vbgcam", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


HEAVY = ("numpy", "cv2", "av", "torch", "torchvision", "numba", "pydantic", "PIL", "onnxruntime", "rich")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["models", "list", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom vbgcam.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "heavy: []" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run", "--duration", "soon"],
        ["run", "--duration", "-1"],
        ["video", "a", "--height", "17"],
        ["models"],
    ],
)
def test_wrong_usage_is_2_and_shows_the_usage(arguments: list[str]) -> None:
    done = vbgcam(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: vbgcam")


def test_each_mistake_in_a_config_is_a_line_and_2(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('[camera]\nfps = -2\nformt = "auto"\n[modle]\n')
    done = vbgcam("run", "--config", file)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"vbgcam: {file}: ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "--source", "camra:0"], "did you mean 'camera'"),
        (["run", "--set", "camera.fps"], "SECTION.KEY=VALUE"),
        (["run", "--set", "camera.fsp=3"], "did you mean 'camera.fps'"),
        (["run", "--background", "#12"], "#rrggbb"),
        (["run", "--model", "onnx:"], "names no file"),
        (["run", "--config", "none.toml"], "vbgcam config example"),
    ],
)
def test_wrong_settings_on_the_command_line_are_one_line_and_2(arguments: list[str], part: str) -> None:
    done = vbgcam(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert part in done.stderr


def test_the_example_is_what_the_checkout_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "example"]) == 0
    assert capsys.readouterr().out == (Path(__file__).resolve().parents[1] / "config.example.toml").read_text()


def test_the_settings_in_force_and_their_place_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--set", "background.show=blur:0.7"]) == 0
    assert 'show = "blur:0.7"' in capsys.readouterr().out
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out.strip().endswith("config.toml")


def test_a_reader_that_has_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "vbgcam", "config", "example"]
    with os.fdopen(write, "wb") as broken:
        done = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


def test_a_bug_is_one_line_and_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from vbgcam.cli import run

    def broken(*_: object) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(run.VERBS, "run", broken)
    assert main(["run"]) == 1
    lines = capsys.readouterr().err.splitlines()
    file = log_path()
    assert lines == [f"vbgcam: internal error: ZeroDivisionError: a bug; {file} says where, please report it"]
    kept = file.read_text()
    assert "error vbgcam: internal error\n    ZeroDivisionError: a bug\n" in kept
    assert 'raise ZeroDivisionError("a bug")' in kept


def test_a_run_is_told_in_the_log_and_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = ["--duration", "0.3", "--sink", "null", "--background", "none"]
    assert main(["run", "--source", "demo", *nothing]) == 0
    assert main(["run", "--source", "file:none.mp4", *nothing]) == 1
    capsys.readouterr()
    lines = log_path().read_text().splitlines()
    assert f"info vbgcam: {__version__} run, Python" in lines[0]
    assert any("vbgcam.live.workers.capture: source: " in line for line in lines)
    assert lines[-1].endswith("error vbgcam: none.mp4: there is no such file; check its name")


def test_what_breaks_a_thread_is_one_line_and_its_traceback_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vbgcam.cli import run

    def broken(*_: object) -> int:
        def work() -> None:
            raise ZeroDivisionError("in a thread")

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        return 0

    monkeypatch.setitem(run.VERBS, "run", broken)
    assert main(["run", "--verbose"]) == 0
    assert capsys.readouterr().err.splitlines() == ["vbgcam: error: worker ended: ZeroDivisionError: in a thread"]
    assert "Traceback" not in log_path().read_text()
    assert "in work" in log_path().read_text()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_a_run_in_order(signum: int, code: int, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    command = [sys.executable, "-m", "vbgcam", "run", "--source", "demo", "--sink", "null", "--background", "none"]
    with subprocess.Popen([*command, "--stats", str(stats)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "on air" in line:
                break
        process.send_signal(signum)
        rest = process.stderr.read()
        assert process.wait(60) == code
    assert "Traceback" not in rest
    assert '"sent"' in stats.read_text()

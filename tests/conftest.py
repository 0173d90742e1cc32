"""What all tests share."""

import importlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.live import quick

__all__ = ["quick"]  # a fixture

# An example may take as long as a busy machine makes it.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

TESTDATA = Path(__file__).resolve().parents[1].parent / "shared" / "testdata"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-sequences", default=150, help="how many random sequences of faults are tried")
    parser.addoption("--fault-first", default=0, help="the first one's number")


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Real people, exact alphas and small real networks, beside the checkout where they are to be had."""
    if not TESTDATA.is_dir():
        pytest.skip("shared/testdata is not beside the checkout: real clips, photos and networks are not tested")
    return TESTDATA


@pytest.fixture(scope="session", autouse=True)
def warm_loops() -> None:
    """The compiled loops are there: a cold cache takes 15 s, many times that under load."""
    for package in ("pixels", "mask", "segment"):
        importlib.import_module(f"vbgcam.{package}.kernels")


@pytest.fixture(scope="session", autouse=True)
def _networks_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Networks that tests convert stay out of the user's cache; each is converted once in a session."""
    folder = tmp_path_factory.mktemp("networks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vbgcam.segment.base.networks_folder", lambda: folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _home_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests say, choose and are given is not the user's; nor do they meet a program that he runs. No network is
    downloaded from where it is published, in processes of their own neither: nobody listens there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("https_proxy", "http://127.0.0.1:9")
        for name in ("STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
            patch.setenv(f"XDG_{name}", str(tmp_path_factory.mktemp(name.lower())))
        # Else the program would put its own backgrounds there; that is tested by itself.
        (Path(os.environ["XDG_DATA_HOME"]) / "vbgcam" / "backgrounds").mkdir(parents=True)
        patch.delenv("DISPLAY", raising=False)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        yield


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, in which nothing is."""
    folder = tmp_path / "home"
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(folder))
    return folder


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """The command line, called in this process, sends the log to a stream that is gone after its test."""
    log = logging.getLogger("vbgcam")
    before = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.propagate = before[0], before[2]
    log.setLevel(before[1])

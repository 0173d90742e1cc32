"""Runs the tests of `guest/` inside the bench's guest machine, where a real webcam driver and v4l2loopback are.

A file in `guest/` is an ordinary pytest file. On the host its tests are collected like all others. Then, beside the
host's own tests, the guest boots for one file after the other, runs all tests of it that were chosen, and each test's
report comes back to the host, with its output, when its turn has come. The host builds the bench where it is missing
(`bench/setup`). Where it cannot run, the tests are skipped with the reason.

    @pytest.mark.guest(loopback="", vivid="...", memory=MIB, seconds=N)      on a test or a file: how the guest starts
    (a Boot's fields; tests of one file that differ in it get a boot each)

For what has to be seen from the host, the fixture `machine` boots the guest with any command: `machine.run([...])`.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.v4l2.machine import BenchError, Boot, Machine, build, why_not

GUEST: Final = Path(__file__).parent / "guest"
REPORTS: Final = "VBGCAM_GUEST_REPORTS"
IN_GUEST: Final = REPORTS in os.environ


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "guest(vivid, loopback, memory, seconds): how the guest starts for these tests")
    config.pluginmanager.register(Reporter(config) if IN_GUEST else Runs(config), "vbgcam-guest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if IN_GUEST:
        return
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()) or _in_guest(item):
            # The first one builds the bench: four minutes on two idle CPUs.
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def warm_loops() -> None:
    """Nothing here calls them in this process; in the guest, compiling them would take minutes."""


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    """The guest, ready to boot."""
    runs = pytestconfig.pluginmanager.get_plugin("vbgcam-guest")
    assert isinstance(runs, Runs)
    return runs.machine()


def _in_guest(item: pytest.Item) -> bool:
    return item.path.is_relative_to(GUEST)


def _boot(item: pytest.Item) -> Boot:
    options: dict[str, Any] = {}
    for marker in item.iter_markers("guest"):  # the nearest first
        options = {**marker.kwargs, **options}
    return Boot(**options)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one boot: each test's reports, and what the guest wrote beside them."""

    reports: dict[str, list[pytest.TestReport]]
    output: str


class Reporter:
    """In the guest: writes each report where the host finds it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with Path(os.environ[REPORTS]).open("a") as file:
            file.write(json.dumps(data) + "\n")


@dataclass
class Runs:
    """On the host: boots the guest for each file and kind of start, and hands out the reports test by test.

    One thread boots, since the guest has one CPU of its own and most of its tests wait for a camera's clock: the host's
    tests and the guest's took 346 s beside each other on two CPUs, in another run 1,102 s one after the other."""

    config: pytest.Config
    make: Callable[[], Machine] = build
    _outcomes: dict[tuple[Path, Boot], Future[Outcome]] = field(default_factory=dict)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "guest"))
    _machine: Future[Machine] | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Boots at once, beside the host's tests. One of several workers that share the tests boots when it comes to
        a file of the guest's: each of them has collected all."""
        if not self.config.option.collectonly and not hasattr(self.config, "workerinput") and not why_not():
            for item in session.items:
                if _in_guest(item):
                    self._outcome(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if not _in_guest(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self.reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_unconfigure(self) -> None:
        """After an interruption guests may be left."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._machine is not None and self._machine.done() and self._machine.exception() is None:
            self._machine.result().stop()
        self._thread.shutdown()

    def machine(self) -> Machine:
        """Skips the test where there is no bench, fails it where it could not be built."""
        reason = why_not()
        if reason:
            pytest.skip(f"the V4L2 bench cannot run here: {reason}")
        try:
            return self._made().result()
        except BenchError as exc:
            pytest.fail(f"the V4L2 bench could not be built:\n{exc}", pytrace=False)

    def reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        """What the guest reports of this test; where it did not get to its end, a failure besides."""
        found: list[pytest.TestReport] = []

        def ask() -> None:
            self.machine()
            outcome = self._outcome(item).result()
            found.extend(outcome.reports.get(item.nodeid, []))
            if not any(report.when == "teardown" for report in found):
                pytest.fail(f"the guest did not get through this test:\n{outcome.output}", pytrace=False)

        call = pytest.CallInfo.from_call(ask, "setup", reraise=(KeyboardInterrupt, pytest.exit.Exception))
        return found if call.excinfo is None else [*found, pytest.TestReport.from_item_and_call(item, call)]

    def _made(self) -> Future[Machine]:
        if self._machine is None:
            self._machine = self._thread.submit(self.make)
        return self._machine

    def _outcome(self, item: pytest.Item) -> Future[Outcome]:
        boot = _boot(item)
        key = (item.path, boot)
        if key not in self._outcomes:
            machine = self._made()
            mates = [other.nodeid for other in item.session.items if other.path == item.path and _boot(other) == boot]
            self._outcomes[key] = self._thread.submit(lambda: self._run(machine.result(), mates, boot))
        return self._outcomes[key]

    def _run(self, machine: Machine, tests: list[str], boot: Boot) -> Outcome:
        """A guest whose machine a test has left broken ends early (see `guest/conftest.py`); the tests that are left
        get another one."""
        reports: dict[str, list[pytest.TestReport]] = {}
        while True:
            code, found, output = self._run_once(machine, tests, boot)
            reports |= found
            left = [name for name in tests if not any(report.when == "teardown" for report in found.get(name, ()))]
            if code != pytest.ExitCode.INTERRUPTED or not left or left == tests:
                return Outcome(reports, output)
            tests = left

    def _run_once(
        self, machine: Machine, tests: list[str], boot: Boot
    ) -> tuple[int, dict[str, list[pytest.TestReport]], str]:
        """pytest's status in the guest, its reports, and what it wrote."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            "--color=no",
            "--timeout=900",
            *tests,
        ]
        with tempfile.TemporaryDirectory(prefix="vbgcam-guest-") as name:
            folder = Path(name)
            kernel, written = folder / "kernel", folder / "reports"
            written.touch()
            result = machine.run(command, boot, share=[folder], env={REPORTS: str(written)}, log=kernel)
            messages = "\n".join(kernel.read_text(errors="replace").splitlines()[-15:]) if kernel.exists() else ""
            lines = written.read_text().splitlines()
        reports: dict[str, list[pytest.TestReport]] = {}
        for line in lines:
            report = self.config.hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
            if report.skipped and isinstance(report.longrepr, list):  # JSON knows no tuples, and pytest wants one
                report.longrepr = tuple(report.longrepr)
            if report.failed and messages:
                report.sections.append(("The guest's kernel", messages))
            reports.setdefault(report.nodeid, []).append(report)
        output = f"{result.stdout}{result.stderr}\nstatus {result.returncode} (124: out of time, 125: the guest failed)"
        return result.returncode, reports, output

"""Runs the tests of `guest/` inside the bench's guest machine, where a real webcam driver and v4l2loopback are.

A file in `guest/` is an ordinary pytest file. On the host its tests are collected like all others; when the first
one's turn comes, the guest boots, runs all tests of that file that were chosen, and each test's report comes back to
the host, with its output. The host builds the bench where it is missing (`bench/setup`). Where it cannot run, the tests
are skipped with the reason.

    @pytest.mark.guest(loopback="", vivid="...", memory=MIB, seconds=N)      on a test or a file: how the guest starts
    (a Boot's fields; tests of one file that differ in it get a boot each)

For what has to be seen from the host, the fixture `machine` boots the guest with any command: `machine.run([...])`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
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
    """On the host: boots the guest for each file and kind of start, and hands out the reports test by test."""

    config: pytest.Config
    outcomes: dict[tuple[Path, Boot], Outcome] = field(default_factory=dict)
    _machine: Machine | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        if not _in_guest(item):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def machine(self) -> Machine:
        """Skips the test where there is no bench, fails it where it could not be built."""
        if self._machine is None:
            reason = why_not()
            if reason:
                pytest.skip(f"the V4L2 bench cannot run here: {reason}")
            try:
                self._machine = build(self._progress())
            except BenchError as exc:
                pytest.fail(f"the V4L2 bench could not be built:\n{exc}", pytrace=False)
        return self._machine

    def _progress(self) -> Callable[[str], None]:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        return terminal.write_line if terminal is not None else print

    def _reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        found: list[pytest.TestReport] = []

        def ask() -> None:
            outcome = self._outcome(item)
            found.extend(outcome.reports.get(item.nodeid, []))
            if not any(report.when == "teardown" for report in found):
                pytest.fail(f"the guest did not get through this test:\n{outcome.output}", pytrace=False)

        call = pytest.CallInfo.from_call(ask, "setup", reraise=(KeyboardInterrupt, pytest.exit.Exception))
        return found if call.excinfo is None else [*found, pytest.TestReport.from_item_and_call(item, call)]

    def _outcome(self, item: pytest.Item) -> Outcome:
        boot = _boot(item)
        key = (item.path, boot)
        if key not in self.outcomes:
            mates = [other.nodeid for other in item.session.items if other.path == item.path and _boot(other) == boot]
            self.outcomes[key] = self._run(mates, boot)
        return self.outcomes[key]

    def _run(self, tests: list[str], boot: Boot) -> Outcome:
        machine = self.machine()
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--color=no", *tests]
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
            if report.failed and messages:
                report.sections.append(("The guest's kernel", messages))
            reports.setdefault(report.nodeid, []).append(report)
        output = f"{result.stdout}{result.stderr}\nstatus {result.returncode} (124: out of time, 125: the guest failed)"
        return Outcome(reports, output)

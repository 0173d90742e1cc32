"""The bench itself: what the guest gives back, and that a test which fails there fails here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Literal

import pytest

from tests.v4l2 import conftest
from tests.v4l2.conftest import REPORTS, Runs
from tests.v4l2.machine import DEFAULT, Boot, Machine


def test_a_command_gives_back_its_status_and_streams_and_only_shared_folders_keep_what_it_wrote(
    machine: Machine, tmp_path: Path
) -> None:
    kept, lost = tmp_path / "kept here", tmp_path / "lost"
    kept.mkdir()
    lost.mkdir()
    script = """
        echo "to stdout in $(pwd)"; echo to stderr >&2; cat
        echo x > "$1/file"; echo x > "$2/file"; ls /dev/video*; exit 7
    """
    result = machine.run(["sh", "-c", script, "sh", kept, lost], share=[kept])
    assert result.stdout == f"to stdout in {Path.cwd()}\n/dev/video0\n/dev/video10\n"
    assert result.stderr == "to stderr\n"
    assert result.returncode == 7
    assert (kept / "file").read_text() == "x\n"
    assert list(lost.iterdir()) == []


def test_the_guest_starts_as_it_is_told_and_ends_in_time(machine: Machine) -> None:
    result = machine.run(["sh", "-c", "ls /dev/video*; exec sleep 60"], Boot(loopback="", seconds=1))
    assert result.stdout == "/dev/video0\n"
    assert result.returncode == 124


@dataclass(frozen=True)
class FakeMachine(Machine):
    """A guest that answers with the reports that it was given and pytest's `status`, and notes what it was booted
    for."""

    reports: tuple[dict[str, object], ...] = ()
    status: int = 1
    boots: list[Sequence[str | Path]] = field(default_factory=list)

    def run(
        self,
        command: Sequence[str | Path],
        boot: Boot = DEFAULT,
        *,
        share: Sequence[Path] = (),
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> CompletedProcess[str]:
        assert env is not None
        assert log is not None
        assert log.parent in share
        self.boots.append(command)
        log.write_text("[    0.1] a line of the kernel's\n")
        sent = [report for report in self.reports if report["nodeid"] in command]
        if self.status == pytest.ExitCode.INTERRUPTED:  # after the first test
            sent = [report for report in sent if report["nodeid"] == sent[0]["nodeid"]]
        Path(env[REPORTS]).write_text("".join(json.dumps(report) + "\n" for report in sent))
        return CompletedProcess([], self.status, "what pytest said", "and more")


Phase = tuple[Literal["setup", "call", "teardown"], Literal["passed", "failed"]]


def reported(request: pytest.FixtureRequest, nodeid: str, *phases: Phase) -> list[dict[str, object]]:
    """What a guest sends of a test."""
    sent = []
    for when, outcome in phases:
        text = "it broke" if outcome == "failed" else None
        report = pytest.TestReport(nodeid, request.node.location, {}, outcome, text, when)
        sent.append(request.config.hook.pytest_report_to_serializable(config=request.config, report=report))
    return sent


def relay(request: pytest.FixtureRequest, *phases: Phase) -> list[pytest.TestReport]:
    """What the host reports of this test if the guest sends these reports of it."""
    machine = FakeMachine(Path(), reports=tuple(reported(request, request.node.nodeid, *phases)))
    return Runs(request.config, lambda: machine).reports(request.node)


def test_a_failure_in_the_guest_is_a_failure_here_with_its_text_and_the_kernels(request: pytest.FixtureRequest) -> None:
    reports = relay(request, ("setup", "passed"), ("call", "failed"), ("teardown", "passed"))
    assert [(report.when, report.outcome) for report in reports] == [
        ("setup", "passed"),
        ("call", "failed"),
        ("teardown", "passed"),
    ]
    assert reports[1].longreprtext == "it broke"
    assert ("The guest's kernel", "[    0.1] a line of the kernel's") in reports[1].sections


def test_a_test_that_the_guest_did_not_finish_is_a_failure_with_what_the_guest_said(
    request: pytest.FixtureRequest,
) -> None:
    nothing: list[Phase] = []
    for begun in (nothing, [*nothing, ("setup", "passed")]):
        last = relay(request, *begun)[-1]
        assert last.failed
        assert "the guest did not get through this test" in last.longreprtext
        assert "what pytest said" in last.longreprtext


def test_after_a_test_that_left_its_guest_broken_the_others_get_another_guest(request: pytest.FixtureRequest) -> None:
    whole: tuple[Phase, ...] = (("setup", "passed"), ("call", "passed"), ("teardown", "passed"))
    names = ["a", "b", "c"]
    sent = tuple(report for name in names for report in reported(request, name, *whole))
    fake = FakeMachine(Path(), reports=sent, status=pytest.ExitCode.INTERRUPTED)
    outcome = Runs(request.config)._run(fake, names, DEFAULT)
    assert [[word for word in boot if word in names] for boot in fake.boots] == [names, ["b", "c"], ["c"]]
    assert {name: len(reports) for name, reports in outcome.reports.items()} == {"a": 3, "b": 3, "c": 3}
    silent = FakeMachine(Path(), status=pytest.ExitCode.INTERRUPTED)
    assert Runs(request.config)._run(silent, names, DEFAULT).reports == {}
    assert len(silent.boots) == 1


def test_where_the_bench_cannot_run_its_tests_are_skipped_by_name(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "why_not", lambda: "not root")
    (report,) = Runs(request.config).reports(request.node)
    assert report.skipped
    assert "the V4L2 bench cannot run here: not root" in str(report.longrepr)

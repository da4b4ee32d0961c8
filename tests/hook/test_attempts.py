"""Attempts of a suite that knows nothing of harness: what is captured where is in the record."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor

FOREIGN = Path(__file__).parent / "foreign"


def list_observed(record: AttemptRecord, name: str) -> list[dict[str, Any]]:
    return [event for _, event in record.events if event["event"] == f"hook_{name}"]


@pytest.fixture(params=["fork", "spawn"])
def run_attempt(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., AttemptRecord]:
    isolation: Isolation = request.param

    def run(*nodeids: str, **changes: Any) -> AttemptRecord:
        settings = SupervisorSettings(
            python=sys.executable, isolation=isolation, cwd=FOREIGN, preload=("pytest",)
        )
        spec = AttemptSpec(
            run_id="r1",
            attempt_id=tmp_path.name,
            nodeids=nodeids,
            folder=tmp_path / "attempt",
            python=sys.executable,
            cwd=FOREIGN,
            timeout_s=30.0,
            isolation=isolation,
            env={"PYTHONPATH": str(FOREIGN)},
            **changes,
        )
        supervisor = Supervisor(settings)
        try:
            return supervisor.run(spec, lambda *_: None)
        finally:
            supervisor.close()

    return run


def test_captures_of_every_process_are_in_the_record(
    run_attempt: Callable[..., AttemptRecord], tmp_path: Path
) -> None:
    record = run_attempt("captures.py")
    assert [end.code for end in record.exits] == [0], record.log_tails
    captures = list_observed(record, "capture")
    assert [one["bs"] for one in captures] == [8, 3, 4, 2, 1]
    assert [one["role"] for one in captures] == ["Runner", "Runner"] + 3 * ["<module>"]
    assert {one["bytes"] for one in captures} == {2 << 20}
    assert [one["pool"] for one in captures] == ["", "", "(0, 7)", "(0, 7)", "(0, 7)"]
    pids = {one["pid"] for one in captures}
    assert len(pids) == 2
    files = {path.name for path in (tmp_path / "attempt" / "hook").iterdir()}
    assert files == {f"{pid}.jsonl" for pid in pids}


def test_an_attempt_without_parts_has_no_hook(run_attempt: Callable[..., AttemptRecord]) -> None:
    record = run_attempt("captures.py", hook=())
    assert [end.code for end in record.exits] == [0]
    assert not [event for _, event in record.events if event["event"].startswith("hook_")]

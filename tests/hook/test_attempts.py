"""Attempts of a suite that knows nothing of harness: what is captured where is in the record."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor
from harness.core.fold import fold
from harness.core.result import AttemptResult, Ending
from harness.core.statuses import AttemptStatus

FOREIGN = Path(__file__).parent / "foreign"
#: Interpreters that start, and forks of one that has started.
BOTH_WAYS = pytest.mark.parametrize("run_attempt", ["fork", "spawn"], indirect=True)


def list_observed(record: AttemptRecord, name: str) -> list[dict[str, Any]]:
    return [event for _, event in record.events if event["event"] == f"hook_{name}"]


@pytest.fixture(scope="module")
def supervisors() -> Iterator[dict[Isolation, Supervisor]]:
    made: dict[Isolation, Supervisor] = {
        mode: Supervisor(
            SupervisorSettings(
                python=sys.executable, isolation=mode, cwd=FOREIGN, preload=("pytest",)
            )
        )
        for mode in ("fork", "spawn")
    }
    yield made
    for supervisor in made.values():
        supervisor.close()


@pytest.fixture
def run_attempt(
    request: pytest.FixtureRequest, tmp_path: Path, supervisors: dict[Isolation, Supervisor]
) -> Callable[..., AttemptRecord]:
    """Make one attempt, forked unless the test is told otherwise."""
    isolation: Isolation = getattr(request, "param", "fork")

    def run(*nodeids: str, version: str = "0.5.12", **changes: Any) -> AttemptRecord:
        spec = AttemptSpec(
            run_id="r1",
            attempt_id=tmp_path.name,
            nodeids=nodeids,
            folder=tmp_path / "attempt",
            python=sys.executable,
            cwd=FOREIGN,
            timeout_s=30.0,
            isolation=isolation,
            env={"PYTHONPATH": str(FOREIGN), "TEST_SGLANG_VERSION": version},
            **changes,
        )
        return supervisors[isolation].run(spec, lambda *_: None)

    return run


@BOTH_WAYS
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


def fold_record(record: AttemptRecord) -> AttemptResult:
    exits = tuple((end.rank, end.code, end.signal) for end in record.exits)
    return fold(record.events, Ending(exits=exits))


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_an_overlay_turns_the_order_in_a_process_that_the_engine_spawns(
    run_attempt: Callable[..., AttemptRecord], order: str
) -> None:
    record = run_attempt("serves.py", hook=("report", f"sglang-order:{order}"))
    result = fold_record(record)
    assert [one["role"] for one in result.capture.trace] == ["CudaGraphRunner"] * 3
    assert (result.capture.requested, result.capture.observed) == (order, order)
    assert result.capture.graphs == "cuda"
    assert result.capture.pool_bytes == 6 << 20
    assert result.notes == ()


def test_an_overlay_refuses_an_engine_of_another_version(
    run_attempt: Callable[..., AttemptRecord],
) -> None:
    record = run_attempt("serves.py", hook=("report", "order:ascending"), version="0.4.1")
    result = fold_record(record)
    assert result.status is AttemptStatus.FAILED
    assert "0.4.1" in str(list_observed(record, "refusal")[0]["text"])
    assert any("refused" in note for note in result.notes)


def test_an_order_that_reaches_no_engine_is_noted(
    run_attempt: Callable[..., AttemptRecord],
) -> None:
    result = fold_record(run_attempt("captures.py", hook=("report", "order:ascending")))
    assert result.capture.observed == "descending" and result.capture.requested == "ascending"
    assert len(result.notes) == 1


@BOTH_WAYS
def test_plain_loops_of_the_suite_are_turned(run_attempt: Callable[..., AttemptRecord]) -> None:
    record = run_attempt("loops.py", hook=("report", "torch-order:descending"))
    result = fold_record(record)
    assert {test.id.rpartition("::")[2]: test.outcome for test in result.tests} == {
        "test_a_loop_in_a_fixture": "passed",
        "test_a_loop_over_a_method": "passed",
        "test_a_helper": "passed",
        "test_what_captures_nothing_is_left_alone": "passed",
        "test_a_loop_over_names_is_left_alone": "passed",
    }, record.log_tails
    assert {one["module"] for one in list_observed(record, "order")} == {"loops", "helper"}


#: Not a file of its own: pytest would load it for our own tests as well.
REPLACING_CONFTEST = """
import os
import sys


class Stream:
    encoding, errors = "utf-8", "strict"

    def write(self, text):
        return os.write(2, text.encode())

    def flush(self): ...

    def isatty(self):
        return False


def pytest_configure(config):
    manager = config.pluginmanager.getplugin("capturemanager")
    manager.stop_global_capturing()
    config.pluginmanager.unregister(manager)
    sys.stdout = sys.stderr = Stream()
"""
REPLACED = """
import torch.cuda

def test_captures():
    print("what the suite writes")
    for bs in (1, 2):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            assert bs

def test_fails():
    raise ValueError("three")
"""


def test_a_conftest_that_replaces_the_capture_of_pytest_changes_nothing_that_is_observed(
    run_attempt: Callable[..., AttemptRecord], tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text(REPLACING_CONFTEST)
    (tmp_path / "test_replaced.py").write_text(REPLACED)
    record = run_attempt(str(tmp_path / "test_replaced.py"))
    result = fold_record(record)
    assert [test.outcome for test in result.tests] == ["passed", "failed"], record.log_tails
    assert result.capture.observed == "ascending"
    assert "what the suite writes" in record.log_tails[0]
    assert result.failure is not None and "three" in result.failure.message


def test_a_process_that_the_hook_cannot_reach_is_noted(
    run_attempt: Callable[..., AttemptRecord],
) -> None:
    record = run_attempt("hidden.py")
    assert len(record.unobserved) == 1 and "-I" in record.unobserved[0]
    assert any("-I" in note for note in record.notes)

"""What an attempt's record says of suites that misbehave, forked and spawned."""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.spec import AttemptRecord, Isolation

Run = Callable[..., AttemptRecord]


def named(record: AttemptRecord, name: str) -> list[dict[str, Any]]:
    return [event for _, event in record.events if event["event"] == name]


def reports(record: AttemptRecord, test: str, *outcomes: str) -> list[dict[str, Any]]:
    return [
        event
        for event in named(record, "report")
        if event["id"].endswith(test) and event["outcome"] in outcomes
    ]


def status(record: AttemptRecord) -> int | None:
    """What pytest returned; None where it did not come to its end."""
    finished = named(record, "finish")
    return finished[0]["exitstatus"] if finished else None


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_suite_that_passes_streams_each_phase_and_finishes(
    run: Run, isolation: Isolation
) -> None:
    record = run("passes.py", isolation=isolation, axes={"order": "ascending"})
    names = [event["event"] for _, event in record.events]
    assert names[:2] == ["hello", "collected"] and names[-1] == "finish"
    assert named(record, "collected")[0]["tests"] == [
        "passes.py::test_one",
        "passes.py::test_writes_what_it_sees_of_its_environment",
    ]
    phases = [report["when"] for report in reports(record, "test_one", "passed")]
    assert phases == ["setup", "call", "teardown"]
    assert status(record) == 0
    assert [(end.rank, end.code, end.signal) for end in record.exits] == [(0, 0, None)]
    assert record.error is None and record.first_death is None and not record.killed


def test_an_axis_that_the_suite_never_reads_is_noted(run: Run, isolation: Isolation) -> None:
    axes = {"order": "ascending", "tp": 1, "env:COLOUR": "red"}
    unread = run("fails.py", isolation=isolation, axes=axes)
    assert [note["text"] for note in named(unread, "note")] == [
        "never read by the suite: axis order"
    ]
    assert not named(run("passes.py", isolation=isolation, axes=axes), "note")


def test_a_failure_carries_types_message_and_the_innermost_frame_last(
    run: Run, isolation: Isolation
) -> None:
    record = run("fails.py", isolation=isolation)
    exc = reports(record, "test_fails", "failed")[0]["exc"]
    assert exc["types"][0] == "ZeroDivisionError" and "ArithmeticError" in exc["types"]
    assert exc["message"] == "division by zero"
    assert exc["frames"][-1]["function"] == "divide"
    assert status(record) == 1 and record.exits[0].code == 1 and record.first_death is None


def test_deselection_keyword_and_reruns_reach_pytest(run: Run) -> None:
    record = run("fails.py", deselect=("fails.py::test_passes",), in_process_reruns=1)
    assert named(record, "collected")[0]["tests"] == ["fails.py::test_fails"]
    assert len(reports(record, "test_fails", "rerun")) == 1
    assert len(reports(record, "test_fails", "failed")) == 1
    record = run("fails.py", keyword="passes")
    assert named(record, "collected")[0]["tests"] == ["fails.py::test_passes"]


def test_deselection_holds_whatever_folder_pytest_takes_for_its_root(run: Run) -> None:
    outcomes = Path(__file__).parents[1] / "outcomes"
    name = f"{outcomes.name}/fails.py"
    record = run(name, deselect=(f"{name}::test_passes",), cwd=outcomes.parent)
    assert named(record, "collected")[0]["tests"] == ["fails.py::test_fails"]


def test_a_flake_follows_the_attempts_seed_forked_as_spawned(
    run: Run, isolation: Isolation
) -> None:
    for seed in range(6):
        expected = 0 if random.Random(seed).random() >= 0.3 else 1
        assert status(run("flakes.py", isolation=isolation, seed=seed)) == expected


def test_a_hang_is_timed_out_and_leaves_its_stack_in_the_log(
    run: Run, isolation: Isolation
) -> None:
    record = run("hangs.py::test_sleeps", isolation=isolation, timeout_s=2.0, grace_s=5.0)
    assert record.timed_out and record.killed == [0]
    assert record.exits[0].signal == "SIGTERM" and record.first_death is None
    assert record.wall_seconds < 4.0
    assert "in test_sleeps" in record.log_tails[0]
    assert status(record) is None and named(record, "test_start")


def test_a_hang_that_ignores_sigterm_is_killed_after_the_grace(run: Run) -> None:
    record = run("hangs.py::test_sleeps_and_ignores_sigterm", timeout_s=1.5, grace_s=0.5)
    assert record.timed_out and record.exits[0].signal == "SIGKILL"
    assert 2.0 <= record.wall_seconds < 4.0


def test_a_segfault_shows_its_signal_and_the_test_that_was_running(
    run: Run, isolation: Isolation
) -> None:
    record = run("dies.py", isolation=isolation)
    assert record.exits[0].signal == "SIGSEGV" and record.first_death == 0
    assert named(record, "test_start")[-1]["id"] == "dies.py::test_segfaults"
    assert [event["id"] for event in named(record, "test_end")] == ["dies.py::test_passes_before"]
    assert status(record) is None and not record.killed
    assert "Segmentation fault" in record.log_tails[0]


@pytest.mark.parametrize("test", ["test_leaves_with_success", "test_prints_a_summary_and_leaves"])
def test_leaving_with_status_zero_is_no_finish(run: Run, isolation: Isolation, test: str) -> None:
    record = run(f"dies.py::{test}", isolation=isolation)
    assert record.exits[0].code == 0 and record.first_death == 0
    assert status(record) is None and not named(record, "test_end")


def test_a_printed_summary_changes_nothing(run: Run) -> None:
    record = run("lies.py")
    assert "5 passed" in record.log_tails[0]
    assert reports(record, "test_lies", "failed") and status(record) == 1


@pytest.mark.parametrize("test", ["TestCase::test_numbers", "test_fixture"])
def test_a_failing_subtest_is_a_report_of_its_own(run: Run, test: str) -> None:
    record = run("subtests.py")
    failed = [report for report in reports(record, test, "failed") if report["subtest"]]
    assert len(failed) == 1 and "number=1" in failed[0]["subtest"]
    assert failed[0]["exc"]["types"][0] == "AssertionError"


def test_a_failed_class_or_module_setup_is_told_from_a_tests_own(run: Run) -> None:
    record = run("class_setup.py")
    shared = {
        report["id"].rpartition("::")[2]: report["class_setup"]
        for report in named(record, "report")
        if report["outcome"] == "failed"
    }
    assert shared == {
        "test_one": True,
        "test_two": True,
        "test_of_the_module": True,
        "test_of_its_own_fixture": False,
    }


def test_a_rerun_in_any_phase_is_reported(run: Run, isolation: Isolation) -> None:
    record = run("reruns.py", isolation=isolation)
    assert status(record) == 0
    hidden = reports(record, "test_fails_once", "rerun")
    assert [report["when"] for report in hidden] == ["call"]
    assert hidden[0]["exc"]["types"][0] == "AssertionError"
    setup = reports(record, "test_after_it", "rerun")
    assert [report["when"] for report in setup] == ["setup"] and setup[0]["class_setup"] is True
    assert setup[0]["exc"]["message"] == "capture failed the first time"


def test_a_child_in_its_own_session_is_found_and_killed(run: Run, isolation: Isolation) -> None:
    record = run("leaves_child.py::test_leaves_a_child", isolation=isolation)
    pid = int(record.log_tails[0].partition("child=")[2].split()[0])
    assert record.orphans == [f"sleep ({pid})"]
    assert not is_running(pid) and status(record) == 0


def test_an_orphaned_grandchild_of_a_hang_is_killed_too(run: Run) -> None:
    record = run("leaves_child.py::test_leaves_a_grandchild_and_waits", timeout_s=2.5, grace_s=0.2)
    (orphan,) = record.orphans
    assert orphan.startswith("sleep ") and record.timed_out
    assert not is_running(int(orphan.partition("(")[2].rstrip(")")))


def test_an_empty_suite_finishes_with_pytests_own_status(run: Run) -> None:
    record = run("empty.py")
    assert status(record) == 5 and named(record, "collected")[0]["tests"] == []


def test_a_syntax_error_is_a_collect_error(run: Run, isolation: Isolation, tmp_path: Path) -> None:
    suite = tmp_path / "broken.py"
    suite.write_text("def test_it(:\n")
    lean = {"PYTEST_ADDOPTS": "-p no:hypothesispytest"}  # the suite lies outside of our pytest.ini
    record = run(str(suite), isolation=isolation, env=lean)
    (error,) = named(record, "collect_error")
    assert "SyntaxError" in error["exc"]["types"] and status(record) == 2


def test_quitting_the_session_leaves_the_test_without_an_end(run: Run) -> None:
    record = run("quits.py")
    assert status(record) == 0 and named(record, "test_start") and not named(record, "test_end")
    (end,) = named(record, "session_end")
    assert (end["exc"]["types"][0], end["exc"]["message"]) == ("_pytest.outcomes.Exit", "enough")


def test_garbage_is_counted_and_kept_and_never_taken_for_an_event(run: Run, tmp_path: Path) -> None:
    record = run("garbage.py")
    assert record.garbled == 5 and status(record) == 0
    (note,) = named(record, "note")
    assert note["rank"] == 0
    lines = (tmp_path / "attempt" / "events.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    assert [line["rank"] for line in kept if line["event"] == "garbled"] == [0] * 5
    assert max(map(len, lines)) < 64 << 10


def test_each_attempt_sees_its_own_environment_and_a_fresh_folder(
    run: Run, isolation: Isolation, tmp_path: Path
) -> None:
    folders = set()
    for colour in ("red", "blue"):
        record = run(
            "passes.py",
            isolation=isolation,
            attempt_id=colour,
            env={"COLOUR": colour},
            axes={"order": colour},
            folder=tmp_path / colour,
        )
        seen = dict(line.split("=", 1) for line in record.log_tails[0].splitlines() if "=" in line)
        assert seen["HARNESS_ATTEMPT_ID"] == seen["COLOUR"] == colour
        assert json.loads(seen["HARNESS_CELL"]) == {"order": colour}
        folders.add(seen["TMPDIR"])
    assert len(folders) == 2 and not any(Path(folder).exists() for folder in folders)


def test_supervision_adds_little_to_pytests_own_time(run: Run) -> None:
    run("passes.py")
    added = []
    for _ in range(5):
        record = run("passes.py")
        added.append(record.wall_seconds - named(record, "finish")[0]["inside_seconds"])
    assert min(added) < 0.15, added


def test_times_are_in_order(run: Run) -> None:
    before = time.time()
    record = run("passes.py")
    assert before <= record.started <= record.ended <= time.time()

"""A test that works against its own attempt: each has a stated answer, and the next is clean."""

from collections.abc import Callable
from typing import Any

from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.result import AttemptResult
from harness.core.statuses import AttemptStatus
from harness.driver.attempts import make_ending

Run = Callable[..., AttemptRecord]
Make = Callable[..., AttemptSpec]


def decide(run: Run, make_spec: Make, test: str, **more: Any) -> AttemptResult:
    record = run(f"hostile.py::{test}", **more)
    assert record.error is None
    return fold(record.events, make_ending(record, make_spec()))


def assert_next_is_clean(run: Run, make_spec: Make, isolation: Isolation) -> None:
    found = decide(run, make_spec, "test_finds_all_as_it_should_be", isolation=isolation)
    assert found.status is AttemptStatus.PASSED, found.failures


def test_folder_mask_limits_and_variables_end_with_the_attempt(
    run: Run, make_spec: Make, isolation: Isolation
) -> None:
    result = decide(run, make_spec, "test_changes_what_processes_inherit", isolation=isolation)
    assert result.status is AttemptStatus.PASSED
    assert_next_is_clean(run, make_spec, isolation)


def test_a_test_may_delete_its_temporary_folder(run: Run, make_spec: Make) -> None:
    result = decide(run, make_spec, "test_deletes_its_temporary_folder")
    assert result.status is AttemptStatus.PASSED
    assert_next_is_clean(run, make_spec, "fork")


def test_a_test_that_deletes_the_attempts_folder_still_has_its_outcome(
    run: Run, make_spec: Make
) -> None:
    spec = make_spec()
    env = {"ATTEMPT_FOLDER": str(spec.folder)}
    result = decide(run, make_spec, "test_deletes_the_attempts_folder", env=env)
    assert result.status is AttemptStatus.PASSED
    assert any("folder was removed" in note for note in result.notes)
    assert spec.folder.is_dir()
    assert_next_is_clean(run, make_spec, "fork")


def test_a_test_that_stops_itself_is_a_hang(run: Run, make_spec: Make) -> None:
    result = decide(run, make_spec, "test_stops_itself", timeout_s=1.0, grace_s=0.3)
    assert result.failure is not None and result.failure.kind is Kind.HANG
    assert result.failure.test == "hostile.py::test_stops_itself"
    assert_next_is_clean(run, make_spec, "fork")


def test_a_test_that_closes_every_descriptor_is_an_early_exit(run: Run, make_spec: Make) -> None:
    result = decide(run, make_spec, "test_closes_every_descriptor")
    assert result.failure is not None and result.failure.kind is Kind.EARLY_EXIT
    assert result.failure.test == "hostile.py::test_closes_every_descriptor"
    assert_next_is_clean(run, make_spec, "fork")

"""Limits of one attempt: what exceeds them is killed, and the kind says which."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.attempt.control_group import ControlGroup, open_group
from harness.attempt.limits import LimitGuard
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.errors import UsageError
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.limits import Limits
from harness.core.result import AttemptResult
from harness.core.statuses import AttemptStatus
from harness.driver.attempts import make_ending
from harness.driver.option_values import parse_size
from harness.driver.options import RunOptions

Run = Callable[..., AttemptRecord]
MIB = 1 << 20
LIMITS = Limits(memory_bytes=150 * MIB, processes=4)


def decide(record: AttemptRecord, spec: AttemptSpec) -> AttemptResult:
    return fold(record.events, make_ending(record, spec))


@pytest.mark.parametrize(
    ("test", "kind"),
    [("test_memory", Kind.MEMORY_LIMIT), ("test_processes", Kind.PROCESS_LIMIT)],
)
def test_an_attempt_that_exceeds_a_limit_fails_by_the_limits_name(
    run: Run, make_spec: Callable[..., AttemptSpec], test: str, kind: Kind
) -> None:
    record = run(f"limits.py::{test}", isolation="spawn", limits=LIMITS)
    result = decide(record, make_spec())
    assert result.status is AttemptStatus.FAILED and record.error is None
    assert result.failure is not None and result.failure.kind is kind
    assert result.failure.test == f"limits.py::{test}" and test in result.failure.signature
    assert record.wall_seconds < 15 and not record.timed_out


def test_an_attempt_within_its_limits_is_left_alone_and_the_overshoot_is_stated(run: Run) -> None:
    record = run("limits.py::test_modest", isolation="spawn", limits=LIMITS)
    assert record.limit is None and record.exits[0].code == 0
    assert any("0.1 s" in note for note in record.notes) == record.sampled


def test_without_limits_nothing_is_looked_at(run: Run) -> None:
    guard = LimitGuard(Limits(), os.getpid(), None)
    assert guard.get_patience() is None and guard.look() is None
    assert not run("limits.py::test_modest").notes


def make_tree(root: Path, controllers: str = "cpu memory pids") -> Path:
    (root / "cgroup.subtree_control").write_text(controllers)
    (root / "self").mkdir()
    (root / "self/cgroup").write_text("4:memory:/\n0::/\n")
    return root


def test_the_kernels_control_group_is_used_where_one_can_be_made(
    tmp_path: Path,
) -> None:
    make_tree(tmp_path)
    group = open_group("r.1", 64 * MIB, tmp_path, tmp_path)
    assert group is not None
    assert (group.path / "memory.max").read_text() == str(64 * MIB)
    guard = LimitGuard(replace(LIMITS, processes=None), os.getpid(), group)
    assert guard.look() is None
    (group.path / "memory.events").write_text("oom 2\noom_kill 1\n")
    hit = guard.look_at_memory()
    assert hit is not None and hit.kind is Kind.MEMORY_LIMIT


@pytest.mark.parametrize("controllers", ["", "cpu pids"])
def test_without_the_kernels_controller_there_is_no_group(tmp_path: Path, controllers: str) -> None:
    make_tree(tmp_path, controllers)
    assert open_group("r.1", 64 * MIB, tmp_path, tmp_path) is None
    assert open_group("r.1", None, tmp_path, tmp_path) is None
    assert not ControlGroup(tmp_path).has_killed()


@pytest.mark.parametrize(
    ("text", "size"), [("8G", 8 << 30), ("512M", 512 << 20), ("20000000", 20_000_000)]
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("given", [{"memory": "much"}, {"memory": "1K"}, {"max_processes": 0}])
def test_a_limit_that_nobody_can_keep_to_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--m"):
        RunOptions(**given)  # type: ignore[arg-type]

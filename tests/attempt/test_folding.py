"""Real attempts, folded: the outcome that a user reads."""

from collections.abc import Callable

import pytest

from harness.attempt.spec import AttemptRecord
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.result import AttemptResult, Ending

Run = Callable[..., AttemptRecord]


def decide(record: AttemptRecord) -> AttemptResult:
    own = [end for end in record.exits if end.rank not in record.killed]
    exits = tuple((end.rank, end.code, end.signal) for end in own)
    return fold(record.events, Ending(exits, record.timed_out, 1.0, record.error))


@pytest.mark.parametrize(
    ("suite", "kind"),
    [
        ("passes.py", None),
        ("fails.py", Kind.ERROR),
        ("lies.py", Kind.ASSERTION),
        ("subtests.py::TestCase", Kind.ASSERTION),
        ("class_setup.py::TestBroken", Kind.SETUP_ERROR),
        ("dies.py::test_segfaults", Kind.SIGNAL),
        ("dies.py::test_leaves_with_success", Kind.EARLY_EXIT),
        ("dies.py::test_prints_a_summary_and_leaves", Kind.EARLY_EXIT),
        ("empty.py", Kind.NO_TESTS),
    ],
)
def test_a_suite_folds_to_its_kind(run: Run, suite: str, kind: Kind | None) -> None:
    failure = decide(run(suite)).failure
    assert (failure.kind if failure else None) == kind


def test_reruns_fold_to_failures_that_recovered(run: Run) -> None:
    result = decide(run("reruns.py::test_fails_once"))
    assert result.status == "failed" and result.tests[0].recovered


def test_a_dead_follower_folds_to_its_signal(run: Run) -> None:
    suite = "peers.py::test_sleeps_through_its_peers_death"
    result = decide(run(suite, tp=2, follower="followers:dies_by_signal"))
    assert result.failure is not None and result.failure.kind is Kind.SIGNAL
    assert "rank 1" in result.failure.message

"""Whether a run's failures are all of tests that are known to fail so often. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from harness.analysis.report_model import CellRate, TestRate
from harness.analysis.run_counts import RunCounts
from harness.core.known_flakes import KnownFlake
from harness.core.statuses import AttemptStatus
from harness.stats.contrasts import ALPHA
from harness.stats.intervals import compute_lower_bound
from harness.stats.wording import format_limit


@dataclass(frozen=True, slots=True)
class FlakeGate:
    """Whether the gate of known flakes holds, and what is said of it."""

    holds: bool
    sentences: tuple[str, ...]


def judge_known_flakes(counts: RunCounts) -> FlakeGate | None:
    """Judge the gate; None if the run has none.

    It is broken by a failure of a test that is not listed or of no test at all, by an entry that
    had expired when the run began, and by a rate that is proven to exceed its entry's: one-sided at
    95 %, Bonferroni over the listed tests of all cells.
    """
    flakes = counts.plan.known_flakes
    if flakes is None:
        return None
    begun = datetime.fromtimestamp(counts.run.created, UTC).date()
    seen = [(cell, test, flake) for cell in counts.cells for test in cell.tests
            for flake in flakes if flake.covers(test.id)]  # fmt: skip
    broken = [*_list_unlisted(counts, flakes), *_list_expired([one[2] for one in seen], begun)]
    told: list[str] = []
    for cell, test, flake in seen:
        exceeds = _exceeds(test, flake, len(seen))
        (broken if exceeds else told).append(_describe(cell, test, flake, exceeds))
    opening = "broken" if broken else "holds"
    return FlakeGate(not broken, (f"the gate of known flakes {opening}", *broken, *told))


def _list_unlisted(counts: RunCounts, flakes: tuple[KnownFlake, ...]) -> Iterator[str]:
    for cell in counts.cells:
        for test in cell.tests:
            if test.failed and not any(flake.covers(test.id) for flake in flakes):
                yield f"{test.id} failed {test.failed} times in {cell.name} and is no known flake"
    rows = [row for row in counts.newest if row.status is AttemptStatus.FAILED]
    if outside := [row for row in rows if row.failed_test is None]:
        yield f"{len(outside)} attempts failed outside of any test, which no entry covers"


def _list_expired(flakes: list[KnownFlake], begun: date) -> Iterator[str]:
    for flake in dict.fromkeys(flakes):
        if begun > flake.expires:
            yield (
                f"the entry of {flake.test} expired on {flake.expires}: "
                f"{flake.owner} mends the test, or renews it"
            )


def _exceeds(test: TestRate, flake: KnownFlake, tests: int) -> bool:
    valid = test.failed + test.passed
    return valid > 0 and compute_lower_bound(test.failed, valid, 1 - ALPHA / tests).low > flake.rate


def _describe(cell: CellRate, test: TestRate, flake: KnownFlake, exceeds: bool) -> str:
    limit = format_limit(flake.rate)
    return (
        f"known flake {test.id} ({flake.owner}, until {flake.expires}): "
        f"{test.failed}/{test.failed + test.passed} failed in {cell.name}, "
        f"{'proven to be more often than' if exceeds else 'not proven above'} {limit}"
    )

"""Where did a failure rate change over a sequence of runs? Pure.

The stream is cut into segments of one rate each, integrated out under a Beta prior, as LUCI
Analysis does; a change before any run has a fixed prior chance. All segmentations are summed, and
the likeliest one is named.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.distributions import compute_log_beta

#: LUCI Analysis' prior of a test's failure rate: most tests rarely fail, some always do.
PRIOR = (0.3, 0.5)
#: Chance, before any data, that the rate changes with a run.
CHANGE_CHANCE = 0.02
#: A change is reported if it is so likely to lie within a run of where it is put.
ENOUGH = 0.9


@dataclass(frozen=True, slots=True)
class RunTally:
    """Valid attempts of one run, in order of time."""

    failed: int
    passed: int


@dataclass(frozen=True, slots=True)
class Change:
    """The rate changed with the run at `index`; `chance` that it did there or a run beside it."""

    index: int
    chance: float


def compute_segment_log(failed: int, passed: int, prior: tuple[float, float] = PRIOR) -> float:
    """Return the log likelihood of attempts, in order, that share one rate with this prior."""
    a, b = prior
    return compute_log_beta(a + failed, b + passed) - compute_log_beta(a, b)


def find_changes(runs: Sequence[RunTally]) -> list[Change]:
    """Return the changes of the likeliest segmentation that are likely where they are put.

    Takes quadratic time in the runs. Assumes attempts are independent within a segment.
    """
    if len(runs) < 2:
        return []
    segments = _tabulate_segments(runs)
    chances = _weigh_changes(segments)
    starts = _find_likeliest_starts(segments)
    near = [Change(at, min(1.0, sum(chances[max(at - 1, 1) : at + 2]))) for at in starts]
    return [change for change in near if change.chance >= ENOUGH]


def _tabulate_segments(runs: Sequence[RunTally]) -> list[list[float]]:
    """Return the log weight of a segment from each run up to, but without, each later one."""
    count, table = len(runs), []
    for start in range(count):
        failed = passed = 0
        row = [-math.inf] * (start + 1)
        for length, run in enumerate(runs[start:]):
            failed, passed = failed + run.failed, passed + run.passed
            quiet = length * math.log1p(-CHANGE_CHANCE)
            row.append(compute_segment_log(failed, passed) + quiet)
        table.append(row)
    assert all(len(row) == count + 1 for row in table)
    return table


def _weigh_changes(segments: list[list[float]]) -> list[float]:
    """Return the posterior chance of a change before each run, over all segmentations."""
    count, change = len(segments), math.log(CHANGE_CHANCE)
    before = [0.0] * (count + 1)
    for end in range(1, count + 1):
        before[end] = _add_logs(
            [before[s] + segments[s][end] + (change if s else 0.0) for s in range(end)]
        )
    after = [0.0] * (count + 1)
    for start in range(count - 1, -1, -1):
        after[start] = _add_logs(
            [
                segments[start][e] + after[e] + (change if e < count else 0.0)
                for e in range(start + 1, count + 1)
            ]
        )
    return [math.exp(before[at] + change + after[at] - before[count]) for at in range(count)]


def _add_logs(logs: Sequence[float]) -> float:
    highest = max(logs)
    return highest + math.log(sum(math.exp(one - highest) for one in logs))


def _find_likeliest_starts(segments: list[list[float]]) -> list[int]:
    """Return where the segments of the likeliest segmentation start, without the first."""
    count, change = len(segments), math.log(CHANGE_CHANCE)
    best = [0.0] * (count + 1)
    came_from = [0] * (count + 1)
    for end in range(1, count + 1):
        scores = [best[s] + segments[s][end] + (change if s else 0.0) for s in range(end)]
        best[end] = max(scores)
        came_from[end] = scores.index(best[end])
    starts, at = [], count
    while came_from[at]:
        at = came_from[at]
        starts.append(at)
    return starts[::-1]

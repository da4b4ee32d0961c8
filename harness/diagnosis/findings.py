"""What an arm shows beside the unchanged cell, however often one looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.core.decision_rule import Alternative
from harness.stats.sequential import Outcome, compute_threshold, weigh_evidence


class Finding(StrEnum):
    """What an arm's failures are beside those of the unchanged cell."""

    PASSES = "passes"
    LESS = "fails less often"
    FAILS = "fails alike"
    RISES = "fails more often"
    UNDECIDED = "cannot say"
    NOT_DONE = "not done"


@dataclass(frozen=True, slots=True)
class Tally:
    """Failed and valid attempts of one arm."""

    failed: int = 0
    valid: int = 0


#: Chance that any arm at all is called better or worse than the unchanged cell though it is not,
#: over all arms and all looks.
LEVEL = 0.05

#: The rates that the test is best at telling apart: a fault that nearly always shows, and
#: next to none.
EXPECTED = (0.9, 0.02)


def judge_arm(base: Sequence[Outcome], arm: Sequence[Outcome], arms: int) -> Finding:
    """Return what an arm shows beside the unchanged cell. `arms`: how many are compared with it.

    Outcomes are in the order in which attempts were begun, up to the first that has not ended; the
    n-th of one is compared with the n-th of the other. An e-process decides whether rates differ
    (`weigh_evidence`), so that looks may be many; every arm has an equal share of LEVEL, half of it
    for each direction. An arm passes if it never failed and its rate is shown to be lower. It fails
    alike if it failed and no difference is shown.
    """
    limit = compute_threshold(2 * arms, LEVEL)
    failed = sum(outcome is True for outcome in arm)
    if failed and weigh_evidence(arm, base, EXPECTED, Alternative.MORE).e_worst >= limit:
        return Finding.RISES
    if weigh_evidence(arm, base, EXPECTED, Alternative.LESS).e_worst >= limit:
        return Finding.LESS if failed else Finding.PASSES
    return Finding.FAILS if failed else Finding.UNDECIDED

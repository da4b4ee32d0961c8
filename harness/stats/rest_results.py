"""What the comparisons with a pooled rest came to, for the verdict. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.core.decision_rule import Alternative
from harness.stats import wording
from harness.stats.contrasts import ALPHA, Comparison, Contrast, Finding
from harness.stats.intervals import Interval
from harness.stats.looks import open_rest_groups
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.pooled_rest import PooledRest
from harness.stats.sequential import bound_difference_anytime

METHOD = "e-process against the pooled rest"

#: A comparison on valid attempts, its p, the p in the worst case, and whether the arm is worse.
Compared = tuple[Comparison | None, float, float, bool | None]


def pool_reference(names: PlannedContrast, cells: Mapping[str, CellOutcomes]) -> CellOutcomes:
    """Return the reference's attempts: of one cell, or of the whole rest."""
    if not names.rest:
        return cells[names.reference]
    pooled = [outcome for name in names.rest for outcome in cells[name].outcomes]
    return CellOutcomes(pooled, min(cells[name].remaining for name in names.rest))


def compare_with_rest(
    question: Question, cells: Mapping[str, CellOutcomes]
) -> dict[PlannedContrast, Compared]:
    """Return what each comparison with a pooled rest came to."""
    groups = open_rest_groups(question)
    for names, group in groups.items():
        for i in range(max(len(cells[name].outcomes) for name in names)):
            for name in names:
                if i < len(cells[name].outcomes):
                    group.add(name, cells[name].outcomes[i])
    return {
        one: _compare(question, one.arm, groups[one.group])
        for one in question.contrasts
        if one.rest
    }


def _compare(question: Question, arm: str, group: PooledRest) -> Compared:
    k, n, rest_k, rest_n = group.count(arm)
    if not n or not rest_n:
        return None, 1.0, 1.0, None
    e, e_worst = group.get_e(arm)
    contrasts, more = len(question.contrasts), question.rule.alternative is not Alternative.LESS
    # The decision takes its share of the error, the interval has the rest.
    level = 1 - (ALPHA - ALPHA / contrasts) if contrasts > 1 else 1 - ALPHA
    bounds = bound_difference_anytime(k, n, rest_k, rest_n, level)
    if e_worst >= contrasts / ALPHA:
        bounds = _end_at_zero(bounds, more)
    compared = Comparison(k, n, rest_k, rest_n, replace(bounds, level=1 - ALPHA), 1 / e, METHOD)
    return compared, 1 / e, 1 / e_worst, more


def _end_at_zero(bounds: Interval, more: bool) -> Interval:
    if more:
        return replace(bounds, low=max(bounds.low, 0.0))
    return replace(bounds, high=min(bounds.high, 0.0))


def list_sentences(question: Question, contrasts: Sequence[Contrast]) -> list[str]:
    """Return a sentence per comparison, but one for all of a group that stay undecided."""
    told: dict[str, None] = {}
    undecided: dict[tuple[str, ...], list[Contrast]] = {}
    for names, contrast in zip(question.contrasts, contrasts, strict=True):
        if names.rest and contrast.finding is Finding.UNDECIDED:
            undecided.setdefault(names.group, []).append(contrast)
        else:
            told[wording.describe_contrast(contrast)] = None
    return [*told, *(wording.describe_undecided_rest(group) for group in undecided.values())]

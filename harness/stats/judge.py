"""What a run's counts say about its own question. Pure: counts in, sentences and an exit out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.exits import ExitCode
from harness.stats import wording
from harness.stats.attempts_needed import (
    attempts_needed_for_contrasts,
    attempts_needed_for_gate,
    attempts_needed_more,
)
from harness.stats.boundary import Design, compute_error
from harness.stats.clustered_verdict import doubt_gate, doubt_units
from harness.stats.contrasts import ALPHA, Comparison, Contrast, Finding, adjust_holm, compare_rates
from harness.stats.doubts import doubt_clustered
from harness.stats.infrastructure import compare_worst_case, find_infra_difference
from harness.stats.intervals import Interval
from harness.stats.inversion import OPEN_ENDED, invert_test
from harness.stats.looks import Looks
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.rate_gate import RateGate, bound_cell, judge_rate_gate
from harness.stats.rest_results import compare_with_rest, list_sentences, pool_reference
from harness.stats.sequential import compare_sequentially, count_blocks, weigh_evidence
from harness.stats.units import Clusters

CALIBRATED = "calibrated e-process"
#: Above this many comparisons intervals are inverted at e >= 20: exact ones take 0.1 s each.
MANY = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer: each contrast judged, the gate's state, sentences, the exit code."""

    contrasts: tuple[Contrast, ...]
    gate: RateGate | None
    sentences: tuple[str, ...]
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class _Compared:
    """A comparison on valid attempts, and the p that survives every infrastructure attempt."""

    comparison: Comparison | None
    p: float
    p_worst: float
    arm_is_worse: bool | None = None


def judge_question(
    question: Question, cells: Mapping[str, CellOutcomes], clusters: Clusters | None = None
) -> Judgement:
    """Judge a run, or a look at one, by the method its question fixed.

    Contrasts: Boschloo with Holm at a fixed number; the e-process until decided, at the threshold
    calibrated for the cap, or at e >= m/alpha if there is none. Both must hold with infrastructure
    counted against them and its share must not depend on the cell, else "cannot say". Gate: every
    cell below the rate. `clusters`: the zygotes of a run in which rates differ between them; what
    they could have done by themselves is no finding.
    """
    contrasts = judge_contrasts(question, cells)
    if clusters is not None:
        contrasts = doubt_units(question, contrasts, clusters)
    sentences = list_sentences(question, contrasts)
    gate = None
    if question.gate is not None:
        gate = judge_rate_gate(question, cells)
        bounds = {name: bound_cell(question, cell) for name, cell in cells.items()}
        if clusters is not None:
            gate, bounds = doubt_gate(question.gate, gate, cells, clusters)
        needed = attempts_needed_for_gate(question) if question.gate else None
        sentences.append(wording.describe_rate_gate(question, gate, cells, bounds, needed))
    code = _exit_code(question, cells, contrasts, gate)
    return Judgement(tuple(contrasts), gate, tuple(sentences), code)


def judge_contrasts(question: Question, cells: Mapping[str, CellOutcomes]) -> list[Contrast]:
    """Judge every planned contrast within the family of all that were planned."""
    pairs = [(cells[c.arm], pool_reference(c, cells)) for c in question.contrasts]
    rest = compare_with_rest(question, cells)
    compared = [
        _Compared(*rest[names]) if names in rest else _compare(question, *pair)
        for names, pair in zip(question.contrasts, pairs, strict=True)
    ]
    adjust = _adjust_bonferroni if question.until_decided else adjust_holm
    seen, worst = adjust([one.p for one in compared]), adjust([one.p_worst for one in compared])
    judged = [
        _judge_one(question, names, pair, replace(one, p=p, p_worst=p_worst))
        for names, pair, one, p, p_worst in zip(
            question.contrasts, pairs, compared, seen, worst, strict=True
        )
    ]
    return judged if question.rule.version < 3 else doubt_clustered(question, cells, judged)


def _compare(question: Question, arm: CellOutcomes, reference: CellOutcomes) -> _Compared:
    if not arm.valid or not reference.valid:
        return _Compared(None, 1.0, 1.0)
    if not question.until_decided:
        fixed = compare_rates(arm.failed, arm.valid, reference.failed, reference.valid)
        return _Compared(fixed, fixed.p, compare_worst_case(fixed, arm.infra, reference.infra).p)
    rule = question.rule
    found = weigh_evidence(
        arm.outcomes, reference.outcomes, question.expected_rates, rule.alternative
    )
    p, p_worst = _find_p(question, found.e), _find_p(question, found.e_worst)
    compared = compare_sequentially(arm.outcomes, reference.outcomes, p)
    if rule.version >= 2:
        decided = len(question.contrasts) * p_worst <= ALPHA
        compared = replace(
            compared,
            test=compared.test if rule.threshold is None else CALIBRATED,
            difference=_invert(question, arm, reference, decided),
        )
    return _Compared(compared, p, p_worst, found.arm_is_worse)


def _invert(
    question: Question, arm: CellOutcomes, reference: CellOutcomes, decided: bool
) -> Interval:
    """Return the interval of the difference that agrees with the deciding test."""
    design = _design(question)
    if question.rule.threshold is None or len(question.contrasts) > MANY:
        # Valid for any cap and wider; its tables are not needed.
        design = replace(design, cap=OPEN_ENDED)
    pairs = zip(arm.outcomes, reference.outcomes, strict=False)
    return invert_test(
        design, [(a, b) for a, b in pairs if a is not None and b is not None], decided
    )


def _find_p(question: Question, e: float) -> float:
    """Return the chance at equal rates that e is ever so large: exact within the cap, else 1/e."""
    if e <= 1:
        return 1.0
    if question.rule.threshold is None:
        return 1 / e
    # Just below the value: its table has it from another order of the same products.
    return min(1.0, compute_error(_design(question), e * (1 - 1e-9)))


def _design(question: Question) -> Design:
    return Design(question.cap, question.expected_rates, question.rule.alternative)


def _adjust_bonferroni(ps: Sequence[float]) -> list[float]:
    return [min(1.0, len(ps) * p) for p in ps]


def _judge_one(
    question: Question,
    names: PlannedContrast,
    pair: tuple[CellOutcomes, CellOutcomes],
    found: _Compared,
) -> Contrast:
    made = Contrast(
        *(names.arm_name, names.reference_name, names.where, found.comparison, found.p),
        finding=Finding.CANNOT_SAY,
        correction=_name_correction(question),
        arm_is_worse=found.arm_is_worse if question.rule.version >= 2 else None,
    )
    if found.comparison is None:
        return replace(made, reason=wording.NO_VALID_ATTEMPT)
    arm, reference = pair
    differs = find_infra_difference(arm, reference)
    if differs is not None:
        return replace(made, reason=wording.describe_infra_difference(arm, reference, differs))
    if found.p_worst <= ALPHA:
        return replace(made, finding=Finding.DIFFERENT)
    if found.p <= ALPHA:
        return replace(made, reason=wording.describe_undoing(arm.infra + reference.infra, found.p))
    return replace(made, finding=Finding.UNDECIDED, outlook=_find_outlook(question, pair))


def _name_correction(question: Question) -> str:
    planned = len(question.contrasts)
    name = "Bonferroni" if question.until_decided else "Holm"
    return f"{name} over {planned}" if planned > 1 else ""


def _find_outlook(question: Question, pair: tuple[CellOutcomes, CellOutcomes]) -> str:
    """Return what would decide it: attempts to add, or, at a fixed number or cap, a new run."""
    m = len(question.contrasts)
    high, low = max(question.expected_rates), min(question.expected_rates)
    if not question.until_decided or question.rule.threshold is not None or question.has_rest:
        return wording.describe_new_run(high, low, attempts_needed_for_contrasts(question))
    arm, reference = pair
    blocks = count_blocks(arm.outcomes, reference.outcomes)
    up = arm.failed * reference.valid >= reference.failed * arm.valid
    more = attempts_needed_more(blocks if up else blocks.swap_arms(), m, question.expected_rates)
    return wording.describe_extension(high, low, more)


def is_settled(question: Question, cells: Mapping[str, CellOutcomes]) -> bool:
    """Return whether a run until decided may stop: each contrast and the gate is settled.

    Settled is decided, or beyond what the remaining attempts could decide, or, with a calibrated
    threshold or a pooled rest, given up: non-binding, since the error holds whether or not this is
    obeyed. The same from all attempts at once as `Looks` says while they come in.
    """
    if not question.until_decided:
        return all(cell.remaining == 0 for cell in cells.values())
    looks = Looks(question, list(cells))
    # Blocks of one attempt per cell, as they were leased.
    for i in range(max((len(cell.outcomes) for cell in cells.values()), default=0)):
        for name, cell in cells.items():
            if i < len(cell.outcomes):
                looks.add(name, cell.outcomes[i])
    return looks.is_settled({name: cell.remaining for name, cell in cells.items()})


def _exit_code(
    question: Question,
    cells: Mapping[str, CellOutcomes],
    contrasts: Sequence[Contrast],
    gate: RateGate | None,
) -> ExitCode:
    """Return what the stated gate says; without one, whether failures were seen and decided."""
    if not cells or any(not cell.valid for cell in cells.values()):
        return ExitCode.NO_VALID_ATTEMPT
    if gate is not None:
        states = {RateGate.HOLDS: ExitCode.OK, RateGate.BROKEN: ExitCode.FAILURES}
        return states.get(gate, ExitCode.UNDECIDED)
    if not any(cell.failed for cell in cells.values()):
        return ExitCode.OK
    decided = _is_decided(question, contrasts)
    return ExitCode.FAILURES if decided or not question.until_decided else ExitCode.UNDECIDED


def _is_decided(question: Question, contrasts: Sequence[Contrast]) -> bool:
    """Whether every pair was told apart, and in each group some cell from its rest."""
    by_group: dict[tuple[str, ...], list[bool]] = {}
    for names, contrast in zip(question.contrasts, contrasts, strict=True):
        found = by_group.setdefault(names.group, [])
        found.append(contrast.finding is Finding.DIFFERENT)
    return all(map(any, by_group.values()))

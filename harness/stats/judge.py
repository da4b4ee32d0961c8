"""What a run's counts say about its own question. Pure: counts in, sentences and an exit out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.exits import ExitCode
from harness.stats.attempts_needed import attempts_needed_more
from harness.stats.contrasts import (
    ALPHA,
    Comparison,
    Contrast,
    Finding,
    adjust_holm,
    compare_rates,
    describe_contrast,
)
from harness.stats.infrastructure import compare_worst_case, describe_infra_difference
from harness.stats.planned import CellOutcomes, PlannedContrast, Question
from harness.stats.power import attempts_needed_fixed
from harness.stats.rate_gate import RateGate, describe_rate_gate, judge_rate_gate
from harness.stats.sequential import (
    can_be_decided,
    compare_sequentially,
    compute_threshold,
    count_blocks,
    weigh_evidence,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer: each contrast judged, the gate's state, sentences, the exit code."""

    contrasts: tuple[Contrast, ...]
    gate: RateGate | None
    sentences: tuple[str, ...]
    exit_code: ExitCode


def judge_question(question: Question, cells: Mapping[str, CellOutcomes]) -> Judgement:
    """Judge a run, or a look at one, by the method its question fixed.

    Contrasts: Boschloo or Fisher with Holm at a fixed number, the e-process at e >= m/alpha until
    decided; both must hold with infrastructure counted against them and its share must not depend
    on the cell, else "cannot say". RateGate: every cell below the rate.
    """
    contrasts = judge_contrasts(question, cells)
    told = [describe_contrast(contrast) for contrast in contrasts]
    gate = None
    if question.gate is not None:
        gate = judge_rate_gate(question.gate, cells, question.until_decided)
        told.append(describe_rate_gate(question.gate, gate, cells, question.until_decided))
    code = _exit_code(question, cells, contrasts, gate)
    return Judgement(tuple(contrasts), gate, tuple(told), code)


def judge_contrasts(question: Question, cells: Mapping[str, CellOutcomes]) -> list[Contrast]:
    """Every planned contrast, judged within the family of all that were planned."""
    pairs = [(cells[c.arm], cells[c.reference]) for c in question.contrasts]
    judged = [_compared(question, arm, reference) for arm, reference in pairs]
    adjust = _bonferroni if question.until_decided else adjust_holm
    seen = adjust([found.p if found else 1.0 for found, _ in judged])
    worst = adjust([lowest for _, lowest in judged])
    return [
        _judged(question, names, pair, found, p, p_worst)
        for names, pair, (found, _), p, p_worst in zip(
            question.contrasts, pairs, judged, seen, worst, strict=True
        )
    ]


def _compared(
    question: Question, arm: CellOutcomes, reference: CellOutcomes
) -> tuple[Comparison | None, float]:
    """The comparison on valid attempts, and the p that survives the infrastructure attempts."""
    if not arm.valid or not reference.valid:
        return None, 1.0
    if question.until_decided:
        found = weigh_evidence(arm.outcomes, reference.outcomes, question.expected_rates)
        compared = compare_sequentially(arm.outcomes, reference.outcomes, found.e)
        return compared, min(1.0, 1 / found.e_worst) if found.e_worst else 1.0
    fixed = compare_rates(arm.failed, arm.valid, reference.failed, reference.valid)
    return fixed, compare_worst_case(fixed, arm.infra, reference.infra).p


def _bonferroni(ps: Sequence[float]) -> list[float]:
    return [min(1.0, len(ps) * p) for p in ps]


def _judged(
    question: Question,
    names: PlannedContrast,
    pair: tuple[CellOutcomes, CellOutcomes],
    found: Comparison | None,
    p: float,
    p_worst: float,
) -> Contrast:
    made = Contrast(
        *(names.arm_name, names.reference_name, names.where, found, p, Finding.CANNOT_SAY),
        correction=_correction(question),
    )
    if found is None:
        return replace(made, reason="no valid attempt in one of the cells")
    arm, reference = pair
    differs = describe_infra_difference(arm.infra, arm.valid, reference.infra, reference.valid)
    if differs:
        return replace(made, reason=differs)
    if p_worst <= ALPHA:
        return replace(made, finding=Finding.DIFFERENT)
    if p <= ALPHA:
        lost = arm.infra + reference.infra
        return replace(made, reason=f"{lost} infrastructure attempts could undo p = {p:.2g}")
    return replace(made, finding=Finding.UNDECIDED, outlook=_outlook(question, arm, reference))


def _correction(question: Question) -> str:
    planned = len(question.contrasts)
    name = "Bonferroni" if question.until_decided else "Holm"
    return f"{name} over {planned}" if planned > 1 else ""


def _outlook(question: Question, arm: CellOutcomes, reference: CellOutcomes) -> str:
    """What would decide it: blocks to add, or, at a fixed n, the size of a run of its own."""
    m = len(question.contrasts)
    high, low = max(question.expected_rates), min(question.expected_rates)
    if question.until_decided:
        blocks = count_blocks(arm.outcomes, reference.outcomes)
        up = arm.failed * reference.valid >= reference.failed * arm.valid
        more = attempts_needed_more(blocks if up else blocks.swapped(), m, question.expected_rates)
        return (
            f"if the truth is {high:g} against {low:g}, about {more} more per cell decide it "
            "with 80 % power"
        )
    n = attempts_needed_fixed(high, low, alpha=ALPHA / m).n
    return (
        f"if the truth is {high:g} against {low:g}, about {n} more per cell, as a run of their "
        "own, decide it with 80 % power"
    )


def is_settled(question: Question, cells: Mapping[str, CellOutcomes]) -> bool:
    """Whether no further attempt can change the answer, so that a run until decided may stop."""
    if not question.until_decided:
        return all(cell.remaining == 0 for cell in cells.values())
    if question.gate is not None and judge_rate_gate(question.gate, cells, True) is RateGate.OPEN:
        return False
    return all(not _is_open(question, cells[c.arm], cells[c.reference]) for c in question.contrasts)


def _is_open(question: Question, arm: CellOutcomes, reference: CellOutcomes) -> bool:
    needed = compute_threshold(len(question.contrasts))
    if weigh_evidence(arm.outcomes, reference.outcomes, question.expected_rates).e_worst >= needed:
        return False
    plans = [len(cell.outcomes) + cell.remaining for cell in (arm, reference)]
    return can_be_decided(
        arm.outcomes, reference.outcomes, min(plans), needed, question.expected_rates
    )


def _exit_code(
    question: Question,
    cells: Mapping[str, CellOutcomes],
    contrasts: Sequence[Contrast],
    gate: RateGate | None,
) -> ExitCode:
    """The stated gate decides where there is one; else failures, and whether a run that was to
    decide its contrasts did."""
    if not cells or any(not cell.valid for cell in cells.values()):
        return ExitCode.NO_VALID_ATTEMPT
    if gate is not None:
        states = {RateGate.HOLDS: ExitCode.OK, RateGate.BROKEN: ExitCode.FAILURES}
        return states.get(gate, ExitCode.UNDECIDED)
    if not any(cell.failed for cell in cells.values()):
        return ExitCode.OK
    decided = all(contrast.finding is Finding.DIFFERENT for contrast in contrasts)
    return ExitCode.FAILURES if decided or not question.until_decided else ExitCode.UNDECIDED

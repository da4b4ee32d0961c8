"""What a run's counts say about its own question. Pure: counts in, sentences and an exit out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.exits import ExitCode
from harness.stats.contrasts import ALPHA, Comparison, Contrast, Finding, compare, holm, sentence
from harness.stats.gate import Gate, gate_sentence, judge_gate
from harness.stats.infra import infra_differs, worst_comparison
from harness.stats.planning import more_blocks
from harness.stats.power import n_per_cell
from harness.stats.question import CellOutcomes, PlannedContrast, Question
from harness.stats.sequential import (
    can_be_decided,
    compare_sequentially,
    count_valid,
    evidence,
    threshold,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: each contrast judged, the gate's state, sentences, the exit code."""

    contrasts: tuple[Contrast, ...]
    gate: Gate | None
    sentences: tuple[str, ...]
    exit_code: ExitCode


def decide(question: Question, cells: Mapping[str, CellOutcomes]) -> Verdict:
    """Judge a run, or a look at one, by the method its question fixed.

    Contrasts: Boschloo or Fisher with Holm at a fixed number, the e-process at e >= m/alpha until
    decided; both must hold with infrastructure counted against them and its share must not depend
    on the cell, else "cannot say". Gate: every cell below the rate.
    """
    contrasts = judge_contrasts(question, cells)
    told = [sentence(contrast) for contrast in contrasts]
    gate = None
    if question.gate is not None:
        gate = judge_gate(question.gate, cells, question.until_decided)
        told.append(gate_sentence(question.gate, gate, cells, question.until_decided))
    code = _exit_code(question, cells, contrasts, gate)
    return Verdict(tuple(contrasts), gate, tuple(told), code)


def judge_contrasts(question: Question, cells: Mapping[str, CellOutcomes]) -> list[Contrast]:
    """Every planned contrast, judged within the family of all that were planned."""
    pairs = [(cells[c.arm], cells[c.reference]) for c in question.contrasts]
    judged = [_compared(question, arm, reference) for arm, reference in pairs]
    adjust = _bonferroni if question.until_decided else holm
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
        found = evidence(arm.outcomes, reference.outcomes, question.planned)
        compared = compare_sequentially(arm.outcomes, reference.outcomes, found.e)
        return compared, min(1.0, 1 / found.e_worst) if found.e_worst else 1.0
    fixed = compare(arm.failed, arm.valid, reference.failed, reference.valid)
    return fixed, worst_comparison(fixed, arm.infra, reference.infra).p


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
    differs = infra_differs(arm.infra, arm.valid, reference.infra, reference.valid)
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
    high, low = max(question.planned), min(question.planned)
    if question.until_decided:
        blocks = count_valid(arm.outcomes, reference.outcomes)
        up = arm.failed * reference.valid >= reference.failed * arm.valid
        more = more_blocks(blocks if up else blocks.swapped(), m, question.planned)
        return (
            f"if the truth is {high:g} against {low:g}, about {more} more per cell decide it "
            "with 80 % power"
        )
    n = n_per_cell(high, low, alpha=ALPHA / m).n
    return (
        f"if the truth is {high:g} against {low:g}, about {n} more per cell, as a run of their "
        "own, decide it with 80 % power"
    )


def is_settled(question: Question, cells: Mapping[str, CellOutcomes]) -> bool:
    """Whether no further attempt can change the answer, so that a run until decided may stop."""
    if not question.until_decided:
        return all(cell.remaining == 0 for cell in cells.values())
    if question.gate is not None and judge_gate(question.gate, cells, True) is Gate.OPEN:
        return False
    return all(not _is_open(question, cells[c.arm], cells[c.reference]) for c in question.contrasts)


def _is_open(question: Question, arm: CellOutcomes, reference: CellOutcomes) -> bool:
    needed = threshold(len(question.contrasts))
    if evidence(arm.outcomes, reference.outcomes, question.planned).e_worst >= needed:
        return False
    plans = [len(cell.outcomes) + cell.remaining for cell in (arm, reference)]
    return can_be_decided(arm.outcomes, reference.outcomes, min(plans), needed, question.planned)


def _exit_code(
    question: Question,
    cells: Mapping[str, CellOutcomes],
    contrasts: Sequence[Contrast],
    gate: Gate | None,
) -> ExitCode:
    """The stated gate decides where there is one; else failures, and whether a run that was to
    decide its contrasts did."""
    if not cells or any(not cell.valid for cell in cells.values()):
        return ExitCode.NO_VALID_ATTEMPT
    if gate is not None:
        states = {Gate.HOLDS: ExitCode.OK, Gate.BROKEN: ExitCode.FAILURES}
        return states.get(gate, ExitCode.UNDECIDED)
    if not any(cell.failed for cell in cells.values()):
        return ExitCode.OK
    decided = all(contrast.finding is Finding.DIFFERENT for contrast in contrasts)
    return ExitCode.FAILURES if decided or not question.until_decided else ExitCode.UNDECIDED

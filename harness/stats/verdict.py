"""What a run's counts say about its own question. Pure: counts in, sentences and an exit out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.exits import ExitCode
from harness.stats.contrasts import ALPHA, Comparison, Contrast, Finding, compare, holm, sentence
from harness.stats.infra import infra_differs, worst_comparison
from harness.stats.intervals import (
    Interval,
    StatsError,
    attempts_to_prove_below,
    attempts_to_prove_below_anytime,
    check_rate,
    confidence_sequence,
    lower_bound,
    upper_bound,
)
from harness.stats.planning import more_blocks, n_per_cell
from harness.stats.sequential import (
    PLANNED,
    Gate,
    Outcome,
    Planned,
    compare_sequentially,
    count_valid,
    evidence,
    gate_by_sequence,
    threshold,
)


@dataclass(frozen=True, slots=True)
class CellOutcomes:
    """A cell's attempts in lease order: failed, passed, or None for infrastructure.

    In a run that may stop early, the completed prefix; `remaining` is what its plan still holds.
    """

    outcomes: Sequence[Outcome]
    remaining: int = 0

    @property
    def failed(self) -> int:
        """Valid attempts that failed."""
        return sum(1 for outcome in self.outcomes if outcome)

    @property
    def infra(self) -> int:
        """Attempts lost to infrastructure."""
        return sum(1 for outcome in self.outcomes if outcome is None)

    @property
    def valid(self) -> int:
        """Attempts that count."""
        return len(self.outcomes) - self.infra


@dataclass(frozen=True, slots=True)
class PlannedContrast:
    """A comparison fixed in the plan: keys of two cells, and how to name them in a sentence."""

    arm: str
    reference: str
    arm_name: str
    reference_name: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a run set out to decide, fixed before its first attempt.

    `until_decided`: looked at all along, hence judged by the anytime-valid methods, whether or
    not it stopped early. `planned`: the pair of rates it was planned to tell apart.
    """

    contrasts: tuple[PlannedContrast, ...] = ()
    gate: float | None = None
    until_decided: bool = False
    planned: Planned = PLANNED

    def __post_init__(self) -> None:
        if self.gate is not None:
            check_rate(self.gate, "a gate")
        if self.until_decided and not self.contrasts and self.gate is None:
            raise StatsError(
                "nothing to decide: give --max-flake-rate, or an axis with two values to compare"
            )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: each contrast judged, the gate's state, sentences, the exit code.

    `settled`: no further attempt can change it, so a run until decided may stop.
    """

    contrasts: tuple[Contrast, ...]
    gate: Gate | None
    sentences: tuple[str, ...]
    exit_code: ExitCode
    settled: bool


def decide(question: Question, cells: Mapping[str, CellOutcomes]) -> Verdict:
    """Judge a run, or a look at one, by the method its question fixed.

    Contrasts: Boschloo or Fisher with Holm at a fixed number, the e-process at e >= m/alpha until
    decided; both must hold with infrastructure counted against them and its share must not depend
    on the cell, else "cannot say". Gate: every cell below the rate.
    """
    contrasts = judge_contrasts(question, cells)
    gate = None if question.gate is None else judge_gate(question, question.gate, cells)
    told = [sentence(contrast) for contrast in contrasts]
    if gate is not None and question.gate is not None:
        told.append(gate_sentence(question.gate, gate, cells, question.until_decided))
    code = _exit_code(cells, contrasts, gate)
    return Verdict(tuple(contrasts), gate, tuple(told), code, _settled(question, cells, gate))


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
        names.arm_name, names.reference_name, names.where, found, p, Finding.CANNOT_SAY
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


def _outlook(question: Question, arm: CellOutcomes, reference: CellOutcomes) -> str:
    """What would decide it: blocks to add, or, at a fixed n, the size of a run of its own."""
    m = len(question.contrasts)
    high, low = max(question.planned), min(question.planned)
    if question.until_decided:
        blocks = count_valid(arm.outcomes, reference.outcomes)
        up = arm.failed * reference.valid >= reference.failed * arm.valid
        more = more_blocks(blocks if up else blocks.swapped(), m, question.planned)
        return f"if the truth is {high:g} against {low:g}, about {more} more per cell decide it " \
               "with 80 % power"
    n = n_per_cell(high, low, alpha=ALPHA / m).n
    return (
        f"if the truth is {high:g} against {low:g}, about {n} more per cell, as a run of their "
        "own, decide it with 80 % power"
    )

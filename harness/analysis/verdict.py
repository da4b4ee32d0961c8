"""The verdict of a counted run, and the exit code that follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis import verdict_sentences as sentences
from harness.analysis.attribution import attribute_run
from harness.analysis.audit_counts import describe_amplified, describe_audit
from harness.analysis.contrast_pairs import ask_question, list_pairs
from harness.analysis.contrast_results import JudgedPair, describe_pooled
from harness.analysis.differing_tests import describe_differing_tests
from harness.analysis.known_flakes import judge_known_flakes
from harness.analysis.report_model import CellRate
from harness.analysis.revision_notes import describe_revision_limits, list_unmeasured
from harness.analysis.run_counts import RunCounts
from harness.core.exits import ExitCode
from harness.core.kinds import Kind
from harness.core.statuses import RunStatus, VerdictOutcome
from harness.stats.attempts_needed import attempts_needed_for_contrasts, attempts_needed_for_gate
from harness.stats.attribution import Attribution
from harness.stats.contrasts import Finding
from harness.stats.judge import Judgement, judge_question
from harness.stats.rate_gate import RateGate


@dataclass(frozen=True, slots=True)
class RunVerdict:
    """What the run says.

    `gate` is None if none was stated, `attribution` if nothing failed or one seed was repeated.
    `attempts_needed`: per cell, in a new run that would decide what this one left open; None if
    nothing is open, or if this run had as many.
    """

    outcome: VerdictOutcome
    sentences: tuple[str, ...]
    contrasts: tuple[JudgedPair, ...]
    gate: RateGate | None
    attribution: Attribution | None
    exit_code: ExitCode
    attempts_needed: int | None = None


_FLAKE_OUTCOMES = {
    True: (VerdictOutcome.PASSED, ExitCode.OK),
    False: (VerdictOutcome.FAILED, ExitCode.FAILURES),
}


def judge_run(counts: RunCounts) -> RunVerdict:
    """Judge a counted run. A run cut short is judged by what holds at every look."""
    if counts.plan.fixed_seed:
        outcome, code = _choose_outcome(counts, None)
        told = [*_open_verdict(counts, outcome), *describe_revision_limits(counts)]
        return RunVerdict(outcome, tuple(told), (), None, None, code)
    question = ask_question(counts.plan, anytime=not counts.complete or bool(counts.earlier))
    judgement = judge_question(question, counts.outcomes, counts.clusters)
    judged = tuple(zip(list_pairs(counts.plan), judgement.contrasts, strict=True))
    outcome, code = _choose_outcome(counts, judgement)
    failed = any(cell.failed for cell in counts.cells) and outcome is not VerdictOutcome.NO_TESTS
    attribution = attribute_run(counts.newest) if failed else None
    told = [
        *_open_verdict(counts, outcome),
        *judgement.sentences,
        *describe_revision_limits(counts),
        *(_explore(counts, judged) if failed and counts.complete else ()),
        *sentences.describe_attribution(counts, attribution, judged),
        *sentences.describe_infrastructure(counts),
        *(flakes.sentences if (flakes := judge_known_flakes(counts)) else ()),
    ]
    needed = _compute_attempts_needed(counts, judgement)
    return RunVerdict(outcome, tuple(told), judged, judgement.gate, attribution, code, needed)


def _explore(counts: RunCounts, judged: Sequence[JudgedPair]) -> list[str]:
    """Return what was not planned and yet shows, called exploratory."""
    tests = [] if counts.plan.until_decided else describe_differing_tests(counts.cells, judged)
    return [*describe_pooled(judged), *tests]


def _compute_attempts_needed(counts: RunCounts, judgement: Judgement) -> int | None:
    """Return the number as planned, even if the run was cut short and judged at a look."""
    question = ask_question(counts.plan)
    needed = [0]
    if any(contrast.finding is Finding.UNDECIDED for contrast in judgement.contrasts):
        needed.append(attempts_needed_for_contrasts(question))
    if question.gate and judgement.gate in (RateGate.OPEN, RateGate.OUT_OF_REACH):
        needed.append(attempts_needed_for_gate(question))
    had = min((cell.valid for cell in counts.cells), default=0)
    return max(needed) if max(needed) > had else None


def _choose_outcome(
    counts: RunCounts, judgement: Judgement | None
) -> tuple[VerdictOutcome, ExitCode]:
    cells = counts.cells
    if counts.run.status is RunStatus.INTERRUPTED:
        return VerdictOutcome.INTERRUPTED, ExitCode.INTERRUPTED
    if any(map(_has_no_tests, cells)):
        return VerdictOutcome.NO_TESTS, ExitCode.NO_TESTS
    if not cells or list_unmeasured(counts) or any(cell.valid == 0 for cell in cells):
        return VerdictOutcome.CANNOT_SAY, ExitCode.NO_VALID_ATTEMPT
    if counts.run.status is RunStatus.INCOMPLETE and not any(cell.failed for cell in cells):
        return VerdictOutcome.CANNOT_SAY, ExitCode.NO_VALID_ATTEMPT
    if judgement and judgement.exit_code is ExitCode.UNDECIDED:
        return VerdictOutcome.UNDECIDED, ExitCode.UNDECIDED
    if judgement and judgement.gate is RateGate.HOLDS:
        return VerdictOutcome.PASSED, ExitCode.OK
    if (flakes := judge_known_flakes(counts)) is not None and counts.complete:
        return _FLAKE_OUTCOMES[flakes.holds]
    earlier = [cell for part in counts.earlier for cell in part.cells]
    if any(cell.failed for cell in (*cells, *earlier)):
        return VerdictOutcome.FAILED, ExitCode.FAILURES
    return VerdictOutcome.PASSED, ExitCode.OK


def _has_no_tests(cell: CellRate) -> bool:
    return cell.failed > 0 and set(cell.kinds) == {Kind.NO_TESTS.value}


def _open_verdict(counts: RunCounts, outcome: VerdictOutcome) -> list[str]:
    """Return the first sentences: how many failed, how the run ended, what is proven."""
    if outcome is VerdictOutcome.NO_TESTS:
        empty = dict.fromkeys(c.suite for c in counts.cells if _has_no_tests(c))
        return [sentences.describe_no_tests(list(empty)), *sentences.describe_warmups(counts)]
    told = [sentences.count_failures(counts.cells), *describe_amplified(counts)]
    told += [*describe_audit(counts), *sentences.describe_warmups(counts)]
    told += sentences.describe_earlier_parts(counts)
    if outcome is VerdictOutcome.INTERRUPTED:
        told.append(sentences.describe_interruption(counts))
    elif counts.run.status is RunStatus.INCOMPLETE:
        told.append(sentences.describe_owed(counts))
    elif counts.plan.until_decided:
        told.append(sentences.describe_stopping(counts))
    if outcome is VerdictOutcome.CANNOT_SAY:
        told += sentences.list_silent_cells(counts.cells)
    return told + sentences.describe_certainty(counts)

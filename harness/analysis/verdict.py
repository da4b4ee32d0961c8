"""The verdict of a run in words, and the exit code that follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.attribution import attribution_of, clustered
from harness.analysis.cells import CellSummary
from harness.analysis.contrasts import Compared, pooled_sentences
from harness.analysis.question import pairs_of, question_of
from harness.analysis.revisions import revision_sentences, unmeasured
from harness.analysis.summary import RunSummary
from harness.analysis.words import kinds_text, percent
from harness.core.exits import ExitCode
from harness.core.kinds import Kind
from harness.core.statuses import RunStatus, VerdictOutcome
from harness.stats.attempts_needed import attempts_needed_for_contrasts, attempts_needed_for_gate
from harness.stats.attribution import Attribution, Follows
from harness.stats.contrasts import ALPHA, Finding
from harness.stats.infrastructure import compute_infra_share_p
from harness.stats.intervals import compute_upper_bound
from harness.stats.judge import Judgement, judge_question
from harness.stats.rate_gate import RateGate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run says.

    `gate` is None where none was stated, `attribution` where nothing failed or one seed was
    repeated. `attempts_needed`: per cell, for a run of its own that is to decide what this one
    left open; None where nothing is open, or where this run had as many.
    """

    outcome: VerdictOutcome
    sentences: list[str]
    contrasts: list[Compared]
    gate: RateGate | None
    attribution: Attribution | None
    exit_code: ExitCode
    attempts_needed: int | None = None


def decide(summary: RunSummary) -> Verdict:
    """Decide a counted run. A run cut short is judged by what holds at every look."""
    if summary.plan.fixed_seed:
        outcome, code = _outcome(summary, None)
        sentences = [*_headline(summary, outcome), *revision_sentences(summary)]
        return Verdict(outcome, sentences, [], None, None, code)
    question = question_of(summary.plan, anytime=not summary.complete)
    found = judge_question(question, summary.outcomes)
    compared = [
        Compared(pair, contrast)
        for pair, contrast in zip(pairs_of(summary.plan), found.contrasts, strict=True)
    ]
    outcome, code = _outcome(summary, found)
    failed = any(cell.failed for cell in summary.cells) and outcome is not VerdictOutcome.NO_TESTS
    attribution = attribution_of(summary.attempts) if failed else None
    sentences = [
        *_headline(summary, outcome),
        *found.sentences,
        *revision_sentences(summary),
        *(pooled_sentences(compared) if failed and summary.complete else ()),
        *_explored(summary, attribution, compared),
        *_infrastructure(summary),
    ]
    needed = _attempts_needed(summary, found)
    return Verdict(outcome, sentences, compared, found.gate, attribution, code, needed)


def _attempts_needed(summary: RunSummary, found: Judgement) -> int | None:
    """As planned, also where a run was cut short and judged by what holds at every look."""
    question = question_of(summary.plan)
    needed = [0]
    if any(contrast.finding is Finding.UNDECIDED for contrast in found.contrasts):
        needed.append(attempts_needed_for_contrasts(question))
    if question.gate and found.gate in (RateGate.OPEN, RateGate.OUT_OF_REACH):
        needed.append(attempts_needed_for_gate(question.gate, question.until_decided))
    had = min((cell.valid for cell in summary.cells), default=0)
    return max(needed) if max(needed) > had else None


def _outcome(summary: RunSummary, found: Judgement | None) -> tuple[VerdictOutcome, ExitCode]:
    cells = summary.cells
    if summary.run.status is RunStatus.INTERRUPTED:
        return VerdictOutcome.INTERRUPTED, ExitCode.INTERRUPTED
    if any(_only_no_tests(cell) for cell in cells):
        return VerdictOutcome.NO_TESTS, ExitCode.NO_TESTS
    if not cells or unmeasured(summary) or any(cell.valid == 0 for cell in cells):
        return VerdictOutcome.CANNOT_SAY, ExitCode.NO_VALID_ATTEMPT
    if found and found.exit_code is ExitCode.UNDECIDED:
        return VerdictOutcome.UNDECIDED, ExitCode.UNDECIDED
    if found and found.gate is RateGate.HOLDS:
        return VerdictOutcome.PASSED, ExitCode.OK
    if any(cell.failed for cell in cells):
        return VerdictOutcome.FAILED, ExitCode.FAILURES
    return VerdictOutcome.PASSED, ExitCode.OK


def _only_no_tests(cell: CellSummary) -> bool:
    return cell.failed > 0 and set(cell.kinds) == {Kind.NO_TESTS.value}


def _headline(summary: RunSummary, outcome: VerdictOutcome) -> list[str]:
    cells = summary.cells
    failed, valid = sum(c.failed for c in cells), sum(c.valid for c in cells)
    if outcome is VerdictOutcome.NO_TESTS:
        empty = dict.fromkeys(c.suite for c in cells if _only_no_tests(c))
        return [f"{', '.join(empty)} collected no test: check the node id and -k"]
    told = [f"{failed}/{valid} valid attempts failed" + _kinds(cells)]
    if outcome is VerdictOutcome.INTERRUPTED:
        left = sum(cell.unfinished for cell in cells)
        told.append(
            f"interrupted with {left} attempts not run: intervals are anytime-valid; "
            f"harness run --resume {summary.run.id} finishes them"
        )
    elif summary.plan.until_decided:
        told.append(_how_it_ended(summary))
    if outcome is VerdictOutcome.CANNOT_SAY:
        told += [f"cannot say anything of {c.name}: no valid attempt" for c in cells if not c.valid]
    if summary.plan.fixed_seed:
        told.append(_deterministic(failed, valid))
    elif not failed and valid:
        told += _proved(cells)
    return told


def _how_it_ended(summary: RunSummary) -> str:
    done = sum(cell.planned - cell.unfinished for cell in summary.cells)
    cap = sum(cell.planned for cell in summary.cells)
    if summary.complete:
        return f"ran to its cap of {cap} attempts; intervals are anytime-valid"
    return (
        f"stopped after {done} of at most {cap} attempts, since the rest could not change the "
        "answer; intervals are anytime-valid"
    )


def _kinds(cells: Sequence[CellSummary]) -> str:
    total: dict[str, int] = {}
    for cell in cells:
        for kind, n in cell.kinds.items():
            total[kind] = total.get(kind, 0) + n
    return f" ({kinds_text(total)})" if total else ""


def _deterministic(failed: int, valid: int) -> str:
    same = "the same result each time" if failed in (0, valid) else "results that differ"
    return (
        f"one fixed seed, {valid} times: {same}; repeats of one seed are one observation, "
        "so no rate is claimed"
    )


def _proved(cells: Sequence[CellSummary]) -> list[str]:
    """What zero failures bound at 95 %, per number of attempts.

    One-sided where the number was fixed; what the anytime-valid interval says where it was not.
    """
    bounds = {
        cell.valid: cell.interval for cell in cells if cell.valid and cell.interval is not None
    }
    return [
        f"0/{n} bounds a cell's failure rate below "
        + (
            f"{percent(compute_upper_bound(0, n).high)} (one-sided, 95 %)"
            if interval.method == "clopper-pearson"
            else f"{percent(interval.high)} (95 %, at every look)"
        )
        for n, interval in sorted(bounds.items(), key=lambda item: item[0])
    ]


def _explored(
    summary: RunSummary, attribution: Attribution | None, compared: Sequence[Compared]
) -> list[str]:
    """What failures follow, and what forbids pooling them.

    Attribution has more factors to correct for than the planned contrasts: where it finds nothing
    and they did, it adds nothing.
    """
    if attribution is None:
        return []
    told = clustered(summary, summary.attempts)
    decided = any(one.contrast.finding is Finding.DIFFERENT for one in compared)
    silent = {Follows.CANNOT_SAY} | ({Follows.NOTHING} if decided else set())
    return told if attribution.verdict in silent else [*told, attribution.sentence]


def _infrastructure(summary: RunSummary) -> list[str]:
    """What the attempts without an outcome could hide."""
    told = [_worst_case(cell) for cell in summary.cells if cell.worst_case]
    p = compute_infra_share_p([(cell.infra, cell.valid) for cell in summary.cells])
    if p <= ALPHA:
        told.append(f"the share of infrastructure attempts depends on the cell (p = {p:.2g})")
    return told


def _worst_case(cell: CellSummary) -> str:
    assert cell.worst_case
    counted = {"infrastructure": cell.infra, "killed in flight": cell.censored}
    lost = " and ".join(f"{n} {what}" for what, n in counted.items() if n)
    low, high = percent(cell.worst_case.low), percent(cell.worst_case.high)
    return f"{cell.name}: {lost}; whatever they would have been, the rate lies in [{low}, {high}]"

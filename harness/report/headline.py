"""The first lines of a Markdown report: the outcome in words, and what was measured. Pure."""

from harness.analysis.report_model import MeasuredRevision, Report, RunFacts
from harness.analysis.wording import format_percent
from harness.core.neutral import neutral
from harness.core.statuses import VerdictOutcome
from harness.stats.rate_gate import RateGate


def write_headline(report: Report) -> str:
    """Return the outcome in one line; a clean run says what it leaves open."""
    outcome, gate = report.verdict.outcome, report.gate
    failed = sum(cell.failed for cell in report.cells)
    valid = sum(cell.valid for cell in report.cells)
    counts = f"{failed} of {valid} attempts failed"
    judged = outcome in (VerdictOutcome.PASSED, VerdictOutcome.FAILED)
    if gate and judged and gate.state in (RateGate.HOLDS, RateGate.BROKEN):
        claim = f"every cell fails less often than {format_percent(gate.max_flake_rate)}"
        return f"Gate {gate.state.value} ({claim}): {counts}"
    match outcome:
        case VerdictOutcome.PASSED:
            return f"No failure in {valid} attempts{_describe_rest(report)}"
        case VerdictOutcome.NO_TESTS:
            return "No test was collected"
        case VerdictOutcome.CANNOT_SAY:
            return "Cannot say: not everything that was asked has a valid attempt"
    return f"{outcome.value.capitalize()}: {counts}"


def _describe_rest(report: Report) -> str:
    """Return the greatest rate that the cells' intervals allow."""
    highs = [cell.interval.high for cell in report.cells if cell.interval]
    if not highs:
        return " of one seed, which are one observation"
    return f"; a cell's interval still reaches {format_percent(max(highs))}"


def describe_run(run: RunFacts) -> str:
    """Return commits, device, graphs and seed in one line of Markdown."""
    parts = [
        _describe_commits(run),
        f"{neutral(run.device, 40)}, {_describe_graphs(run)}",
        f"up to {run.repeats} attempts per cell",
        f"{'fixed ' if run.fixed_seed else ''}seed {run.seed}",
        f"run <code>{neutral(run.id, 100)}</code> {run.status.value}",
    ]
    return " · ".join(parts)


def _describe_commits(run: RunFacts) -> str:
    if run.revisions:
        named = [_name_revision(revision) for revision in run.revisions]
        return f"base {', head '.join(named)}" if len(named) > 1 else f"commit {named[0]}"
    if run.sha is None:
        return "no commit known"
    return f"commit <code>{neutral(run.sha)}</code>{' with local changes' if run.dirty else ''}"


def _name_revision(revision: MeasuredRevision) -> str:
    """Return a commit, and its name if it was given another one."""
    sha = f"<code>{neutral(revision.sha)}</code>"
    return sha if revision.named == revision.sha else f"{neutral(revision.named, 200)} = {sha}"


def _describe_graphs(run: RunFacts) -> str:
    """Return the kind of graphs; a CPU has no CUDA graphs, whatever an engine says of itself."""
    if not run.graphs:
        return "no graph captured"
    if run.device == "cpu":
        return "recorded graphs (no CUDA graphs)"
    return {"cuda": "CUDA graphs"}.get(run.graphs, f"{neutral(run.graphs, 100)} graphs")

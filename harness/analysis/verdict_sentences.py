"""The sentences of a verdict, apart from those that the statistics make themselves. Pure."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis import wording
from harness.analysis.attribution import describe_clustering
from harness.analysis.contrast_results import JudgedPair
from harness.analysis.report_model import CellRate
from harness.analysis.run_counts import RunCounts
from harness.analysis.wording import format_kinds, format_percent
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.attribution import Attribution, Follows
from harness.stats.contrasts import ALPHA, Finding
from harness.stats.infrastructure import compute_infra_share_p
from harness.stats.intervals import Interval, compute_upper_bound
from harness.stats.wording import format_limit


def describe_no_tests(suites: Sequence[str]) -> str:
    """Return what to check if suites collected nothing."""
    return f"{', '.join(suites)} collected no test: check the node id and -k"


def count_failures(cells: Sequence[CellRate]) -> str:
    """Return how many valid attempts failed, and of which kinds."""
    failed, valid = sum(c.failed for c in cells), sum(c.valid for c in cells)
    kinds = Counter[str]()
    for cell in cells:
        kinds.update(cell.kinds)
    return f"{failed}/{valid} valid attempts failed" + (
        f" ({format_kinds(kinds)})" if kinds else ""
    )


def describe_warmups(counts: RunCounts) -> list[str]:
    """Return how many attempts failed while they warmed up; none if the run had no warm-up."""
    failed = [row for row in counts.warmups if row.status is AttemptStatus.FAILED]
    valid = sum(row.status in VALID for row in counts.warmups)
    kinds = format_kinds(Counter(row.kind or "failed" for row in failed))
    told = f"failures in warm-up: {len(failed)} of {valid}" + (f" ({kinds})" if kinds else "")
    return [f"{told}; they are in no rate"] if counts.warmups else []


def describe_interruption(counts: RunCounts) -> str:
    """Return what an interrupted run still owes."""
    return (
        f"interrupted with {counts.unfinished} attempts not run: intervals are anytime-valid; "
        f"harness run --resume {counts.run.id} finishes them"
    )


def describe_owed(counts: RunCounts) -> str:
    """Return what an incomplete run still owes, and why."""
    return (
        f"incomplete: {counts.unfinished} attempts could not be started "
        f"({counts.run.ended_by or 'no reason is stored'}); "
        f"harness run --resume {counts.run.id} makes them"
    )


def describe_earlier_parts(counts: RunCounts) -> list[str]:
    """Return a sentence per part before a change: its attempts are in no other count."""
    told = []
    for part in counts.earlier:
        failed = sum(cell.failed for cell in part.cells)
        valid = sum(cell.valid for cell in part.cells)
        what = "; ".join(part.changed) or "something"
        told.append(f"apart from these, before {what}: {failed}/{valid} valid attempts failed")
    return told


def describe_stopping(counts: RunCounts) -> str:
    """Return how a run until decided ended."""
    cap = sum(cell.planned for cell in counts.cells)
    if counts.complete:
        return f"ran to its cap of {cap} attempts; intervals are anytime-valid"
    return (
        f"stopped after {cap - counts.unfinished} of at most {cap} attempts, because the rest "
        "could not change the answer; intervals are anytime-valid"
    )


def list_silent_cells(cells: Sequence[CellRate]) -> list[str]:
    """Return a sentence per cell without a valid attempt."""
    return [f"cannot say anything of {c.name}: no valid attempt" for c in cells if not c.valid]


def describe_certainty(counts: RunCounts) -> list[str]:
    """Return what zero failures prove, or why one seed proves nothing about a rate."""
    failed = sum(cell.failed for cell in counts.cells)
    valid = sum(cell.valid for cell in counts.cells)
    if counts.plan.fixed_seed:
        same = "the same result each time" if failed in (0, valid) else "results that differ"
        return [wording.FIXED_SEED.format(valid, same)]
    return [] if failed else _list_bounds(counts.cells)


def _list_bounds(cells: Sequence[CellRate]) -> list[str]:
    """Return what zero failures bound at 95 %, one sentence per number of attempts."""
    bounds = {cell.valid: cell.interval for cell in cells if cell.valid and cell.interval}
    return [
        f"0/{n} bounds a cell's failure rate below {_describe_bound(n, interval)}"
        for n, interval in sorted(bounds.items(), key=lambda item: item[0])
    ]


def _describe_bound(n: int, interval: Interval) -> str:
    """Return a one-sided bound if the number was fixed, else the anytime-valid interval's."""
    if interval.method == "clopper-pearson":
        return f"{format_limit(compute_upper_bound(0, n).high)} (one-sided, 95 %)"
    return f"{format_limit(interval.high)} (95 %, at every look)"


def describe_attribution(
    counts: RunCounts, attribution: Attribution | None, judged: Sequence[JudgedPair]
) -> list[str]:
    """Return what failures follow, and what forbids pooling them.

    Attribution corrects for more factors than the planned contrasts do: if it finds nothing and
    they found a difference, it adds nothing.
    """
    if attribution is None:
        return []
    decided = any(contrast.finding is Finding.DIFFERENT for _, contrast in judged)
    silent = {Follows.CANNOT_SAY} | ({Follows.NOTHING} if decided else set())
    told = describe_clustering(counts.plan, counts.newest)
    return told if attribution.verdict in silent else [*told, attribution.sentence]


def describe_infrastructure(counts: RunCounts) -> list[str]:
    """Return what the attempts without an outcome could hide."""
    told = [_describe_worst_case(cell, cell.worst_case) for cell in counts.cells if cell.worst_case]
    p = compute_infra_share_p([(cell.infra, cell.valid) for cell in counts.cells])
    if p <= ALPHA:
        told.append(f"the share of infrastructure attempts depends on the cell (p = {p:.2g})")
    return told


def _describe_worst_case(cell: CellRate, worst: Interval) -> str:
    counted = {"infrastructure": cell.infra, "killed in flight": cell.censored}
    lost = " and ".join(f"{n} {what}" for what, n in counted.items() if n)
    low, high = format_percent(worst.low), format_percent(worst.high)
    return f"{cell.name}: {lost}; whatever they would have been, the rate lies in [{low}, {high}]"

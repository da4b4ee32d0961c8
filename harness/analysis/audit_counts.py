"""What the graph audit found in a run, counted over attempts; and which cells are amplified."""

from collections import defaultdict
from collections.abc import Sequence

from harness.analysis.run_counts import RunCounts
from harness.core.amplifiers import AMPLIFY_AXIS, PLAIN
from harness.core.audit import AuditCount, AuditFinding
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus


def count_findings(attempts: Sequence[AttemptRow]) -> tuple[AuditCount, ...]:
    """Return each finding once, with the attempts that had it; the most frequent first."""
    rows: dict[tuple[str, ...], list[tuple[AttemptRow, AuditFinding]]] = defaultdict(list)
    for row in attempts:
        first: dict[tuple[str, ...], AuditFinding] = {}
        for finding in row.audit:
            first.setdefault(finding.key, finding)
        for key, finding in first.items():
            rows[row.suite, *key].append((row, finding))
    counts = [_count(found) for found in rows.values()]
    return tuple(sorted(counts, key=lambda one: -one.n))


def _count(found: Sequence[tuple[AttemptRow, AuditFinding]]) -> AuditCount:
    row, finding = found[0]
    failed = sum(one.status is AttemptStatus.FAILED for one, _ in found)
    return AuditCount(row.suite, finding, len(found), failed, row.id)


def is_audited(counts: RunCounts) -> bool:
    """Tell whether the run's graphs were audited."""
    return bool(counts.run.options.get("audit"))


def describe_audit(counts: RunCounts) -> list[str]:
    """Return what the audit found in how many attempts; nothing if the run was not audited."""
    if not is_audited(counts):
        return []
    rows = [row for row in counts.attempts if row.status in VALID and row.capture.graphs]
    found = [row for row in counts.attempts if row.audit]
    if not found:
        return [f"the audit found nothing in {len(rows)} attempts that captured graphs"]
    passed = sum(row.status is AttemptStatus.PASSED for row in found)
    faults = len(count_findings(found))
    what = f"{faults} {'fault' if faults == 1 else 'faults'} in the graphs of {len(found)} attempts"
    return [f"the audit found {what}, before their replays; {passed} of these attempts passed"]


def describe_amplified(counts: RunCounts) -> list[str]:
    """Return which amplifiers were on; a rate with them is not the suite's own."""
    values = [str(cell.axes.get(AMPLIFY_AXIS, PLAIN)) for cell in counts.cells]
    on = [value for value in dict.fromkeys(values) if value != PLAIN]
    if not on:
        return []
    where = "the rates of such cells" if PLAIN in values else "the rates of this run"
    names = " and ".join(value.replace("+", ", ") for value in on)
    return [f"amplified ({names}): {where} are not the suite's own"]

"""What the graph audit found, in lines. Pure."""

from harness.analysis.report_model import Report
from harness.core.audit import AuditCount

TITLE = "The audit's findings, before the replays"
_SHOWN_FRAMES = 2
_FAULTS = {
    "dangling": "points to memory that was {}",
    "overwritten": "reads what a third graph has written over",
    "concurrent": "runs at the same time as a graph that shares its memory",
    "spoiled": "reads what another graph's replay has written over",
    "stray-write": "wrote into memory that is nobody's",
}
_OWNERSHIPS = {"freed": "freed", "reallocated": "freed and given to another owner"}


def describe_finding(one: AuditCount) -> list[str]:
    """Return a finding's lines: what is wrong in which kernel, and then where it came from."""
    found = one.finding
    ownership = _OWNERSHIPS.get(found.ownership, found.ownership)
    fault = _FAULTS.get(found.fault, found.fault).format(ownership)
    facts = ", ".join(filter(None, (found.what, f"{found.bytes} bytes", _name_pool(found.pool))))
    where = f"{one.n}x {found.graph}: {found.kernel} ({found.parameter})"
    outcome = f"{one.failed} of these attempts failed; {one.example}"
    lines = [f"{where} {fault} ({facts}); {outcome}"]
    owner = "read" if found.fault == "spoiled" else "now owned"
    stacks = ("allocated", found.allocated), ("freed", found.freed), (owner, found.owner)
    lines += [f"{label} by {' < '.join(one[:_SHOWN_FRAMES])}" for label, one in stacks if one]
    return lines + [f"written by {', '.join(found.writers)}"] * bool(found.writers)


def list_findings(report: Report) -> list[str]:
    """Return one line for each finding."""
    return ["; ".join(describe_finding(one)) for one in report.audit]


def _name_pool(pool: str) -> str:
    return f"pool {pool}" if pool and pool != "0,0" else ""

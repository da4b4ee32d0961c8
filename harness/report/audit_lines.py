"""What the graph audit found, in lines. Pure."""

from harness.analysis.report_model import Report
from harness.core.audit import AuditCount
from harness.core.kernel_names import shorten_kernel

TITLE = "The audit's findings, before the replays"
_SHOWN_FRAMES = 2
_FAULTS = {
    "dangling": "points to memory that was {}",
    "overwritten": "reads what a third graph has written over",
    "concurrent": "runs at the same time as a graph that shares its memory",
    "spoiled": "reads what another graph's replay has written over",
    "stray-write": "wrote into memory that is nobody's",
}
_ADVICE = {
    "dangling": "keep that memory as long as its graph lives, or copy into one static buffer "
    "before each replay; --amplify poison makes the fault show in every attempt",
    "overwritten": "copy it out before the third graph is replayed, or capture one of them into "
    "a pool of its own",
    "concurrent": "let one stream wait for the other (wait_stream, or an event), or capture one of "
    "the graphs into a pool of its own",
    "spoiled": "copy the answer before the next graph of the same pool is replayed",
    "stray-write": "harness rerun ATTEMPT --memcheck names the kernel that writes there",
}
_OWNERSHIPS = {"freed": "freed", "reallocated": "freed and given to another owner"}


def describe_finding(one: AuditCount) -> list[str]:
    """Return a finding's lines: what is wrong in which kernel, and then where it came from."""
    found = one.finding
    ownership = _OWNERSHIPS.get(found.ownership, found.ownership)
    fault = _FAULTS.get(found.fault, found.fault).format(ownership)
    facts = ", ".join(filter(None, (found.what, f"{found.bytes} bytes", _name_pool(found.pool))))
    where = f"{one.n}x {found.graph}: {shorten_kernel(found.kernel)} ({found.parameter})"
    outcome = f"{one.failed} of these attempts failed; {one.example}"
    lines = [f"{where} {fault} ({facts}); {outcome}"]
    owner = "read" if found.fault == "spoiled" else "now owned"
    stacks = ("allocated", found.allocated), ("freed", found.freed), (owner, found.owner)
    lines += [f"{label} by {' < '.join(one[:_SHOWN_FRAMES])}" for label, one in stacks if one]
    writers = ", ".join(_shorten_writer(writer) for writer in found.writers)
    return lines + [f"written by {writers}"] * bool(writers)


def list_findings(report: Report) -> list[str]:
    """Return one line for each finding, and what to do."""
    return ["; ".join(describe_finding(one)) for one in report.audit] + list_advice(report)


def list_advice(report: Report) -> list[str]:
    """Return what to do about the findings, one line for each fault among them."""
    faults = dict.fromkeys(one.finding.fault for one in report.audit)
    return [f"what to do ({fault}): {_ADVICE[fault]}" for fault in faults if fault in _ADVICE]


def _shorten_writer(writer: str) -> str:
    graph, mark, kernel = writer.partition(": ")
    return f"{graph}{mark}{shorten_kernel(kernel)}"


def _name_pool(pool: str) -> str:
    return f"pool {pool}" if pool and pool != "0,0" else ""

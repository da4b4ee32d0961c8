"""What a run says before its first attempt: cells, time, and whether it can answer its question."""

import statistics

from rich.console import Console

from harness.analysis.contrast_pairs import ask_question
from harness.analysis.revision_notes import describe_revision, list_revisions
from harness.analysis.wording import format_duration
from harness.core.errors import UsageError
from harness.core.plan import Plan
from harness.driver import messages
from harness.driver.context import RunContext
from harness.driver.options import RunOptions
from harness.driver.processes import describe_sandbox
from harness.report.terminal import print_line
from harness.stats.attempts_needed import list_shortfalls
from harness.stats.intervals import compute_upper_bound
from harness.stats.wording import format_limit
from harness.store.store import Store

_WARNING = "warning"


def print_plan(console: Console, context: RunContext, store: Store, devices: int) -> None:
    """Print the plan. Raise UsageError if no cell of it can run."""
    record, plan = context.record, context.plan
    cells = plan.runnable
    seed = f"{'fixed ' if plan.fixed_seed else ''}seed {plan.seed}"
    print_line(
        console,
        f"run {record.id}: {describe_size(plan, record.device, devices)}, "
        f"{context.isolation}, {describe_sandbox(context.options)}, "
        f"blocks interleaved in an order from {seed}",
    )
    for line in list_revisions([describe_revision(one) for one in plan.revisions]):
        print_line(console, line)
    for planned in plan.cells:
        refused = f"  not run: {planned.refused}" if planned.refused else ""
        print_line(console, f"{planned.suite} · {planned.cell.label}{refused}", indent="  ")
    if not cells:
        raise UsageError("no cell of the plan can run here; each reason stands above")
    expected = estimate_seconds(store, plan, devices)
    told = (
        f"about {format_duration(expected)}"
        if expected
        else "unknown, no stored run of these cells"
    )
    most = f"at most {find_longest(context.options, plan):g} s per attempt"
    print_line(console, f"expected time: {told} ({most})")
    if plan.warmup:
        print_line(console, messages.say_warmup(plan.warmup, len(cells)))
    for line in _prospects(plan):
        print_line(console, line, "yellow" if line.startswith(_WARNING) else "")


def find_longest(options: RunOptions, plan: Plan) -> float:
    """Return the seconds that an attempt of the plan may take: a suite's own, or `--timeout`'s."""
    setups = [options.setups.get(planned.suite) for planned in plan.runnable]
    return max((one and one.timeout_s) or options.timeout_s for one in setups)


def describe_size(plan: Plan, device: str, devices: int) -> str:
    """Return how many cells, repeats and attempts a plan has, and on how many devices."""
    cells = len(plan.runnable)
    repeats = f"{'at most ' if plan.until_decided else ''}{plan.repeats}"
    where = "GPU" if device == "cuda" else "CPU slot"
    return (
        f"{cells} cell{'' if cells == 1 else 's'} x {repeats} repeats = {cells * plan.repeats} "
        f"attempts on {devices} {where}{'' if devices == 1 else 's'}"
    )


def _prospects(plan: Plan) -> list[str]:
    """What this budget can show, and the warning where it cannot answer its own question."""
    if plan.fixed_seed:
        return []
    question = ask_question(plan)
    told = [f"{_WARNING}: {text}" for text in list_shortfalls(question, plan.repeats)]
    if not plan.until_decided:
        bound = format_limit(compute_upper_bound(0, plan.repeats).high)
        told.append(
            f"0 failures in {plan.repeats} would prove a rate below {bound} (95 % confidence)"
        )
    return told


def estimate_seconds(store: Store, plan: Plan, devices: int) -> float | None:
    """From the medians of the newest runs that measured these cells; None where there are none."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for run in store.runs()[:10]:
        for row in store.attempts(run.id):
            seconds.setdefault((row.suite, row.cell), []).append(row.wall_seconds)
    total = 0.0
    for planned in plan.runnable:
        known = seconds.get((planned.suite, planned.cell.key))
        if not known:
            return None
        gangs = max(devices // planned.cell.devices, 1)
        total += statistics.median(known) * plan.repeats / gangs
    return total

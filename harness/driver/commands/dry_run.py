"""`harness run --dry-run`: the cells, the time and what would do nothing, without an attempt."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from harness.analysis.wording import format_duration
from harness.core.cell import DEVICES_AXIS, ENV_PREFIX
from harness.core.errors import NoStoreError
from harness.core.exits import ExitCode
from harness.core.plan import Plan
from harness.core.revision import AXIS
from harness.core.suite import mentions_cell, uses_engine
from harness.driver.announce import describe_size
from harness.driver.commands.run import RunRequest, count_local_devices, make_request
from harness.driver.configuration.suites import choose_suites
from harness.driver.options import RunOptions
from harness.driver.revisions.open import open_revisions
from harness.driver.state import locate_store
from harness.store.open import open_store

#: Axes that no suite reads from its cell.
_OUTSIDE = ("tp", "caches", DEVICES_AXIS, AXIS)
_RUNS = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """What the attempts of a plan take, from the stored attempts of the same cells."""

    seconds: float
    """Until the run ends, all devices busy."""
    device_seconds: float
    unknown: int
    """Cells that no stored run has measured: they are not in the sums."""


def print_dry_run(options: RunOptions, location: str | None) -> int:
    """Print what a run of these options would measure. Return the exit code."""
    with open_revisions(choose_suites(options)) as (options, revisions):
        request = make_request(options, revisions)
        devices = count_local_devices(request)
        plan = request.make_plan(devices)
        durations = _read_durations(location or locate_store(of_revisions=bool(revisions)))
    console = Console(soft_wrap=True)
    for line in _describe(request, plan, devices, durations):
        console.print(escape(line))
    return ExitCode.OK if plan.runnable else ExitCode.USAGE


def _describe(
    request: RunRequest, plan: Plan, devices: int, durations: dict[tuple[str, str], list[float]]
) -> Iterator[str]:
    cells = len(plan.runnable)
    yield f"{describe_size(plan, request.device, devices)}, {request.isolation}"
    for planned in plan.cells:
        label = f"  {planned.suite} · {planned.cell.label}"
        yield label + (f"  not run: {planned.refused}" if planned.refused else "")
    yield from _describe_cost(compute_cost(plan, devices, durations), cells)
    for suite, axes in find_idle_axes(plan, request.options).items():
        yield f"{suite}: axis {', '.join(axes)} would do nothing: it never mentions HARNESS_CELL"


def _describe_cost(cost: Cost, cells: int) -> Iterator[str]:
    if cost.unknown == cells:
        yield "expected time: unknown, no stored run of these cells"
        return
    some = f", without {cost.unknown} cells that no stored run has" if cost.unknown else ""
    hours = cost.device_seconds / 3600
    yield f"expected time: about {format_duration(cost.seconds)}, {hours:.2g} device-hours{some}"


def compute_cost(plan: Plan, devices: int, durations: dict[tuple[str, str], list[float]]) -> Cost:
    """Return the cost of a plan. durations: seconds of attempts, by suite and cell key."""
    seconds = device_seconds = 0.0
    unknown = 0
    for planned in plan.runnable:
        known = durations.get((planned.suite, planned.cell.key))
        if not known:
            unknown += 1
            continue
        cell_seconds = statistics.median(known) * plan.repeats
        device_seconds += cell_seconds * planned.cell.devices
        seconds += cell_seconds / max(devices // planned.cell.devices, 1)
    return Cost(seconds, device_seconds, unknown)


def _read_durations(location: str) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    try:
        store = open_store(location, write=False)
    except NoStoreError:
        return found
    try:
        for run in store.runs()[:_RUNS]:
            for row in store.attempts(run.id):
                found[row.suite, row.cell].append(row.wall_seconds)
    finally:
        store.close()
    return found


def find_idle_axes(plan: Plan, options: RunOptions) -> dict[str, list[str]]:
    """Return, by suite, the varied axes that its file cannot read: it never mentions its cell.

    An axis that is laid over, or sets a variable, reaches the suite in another way.
    """
    setups = options.setups
    found: dict[str, list[str]] = {}
    for planned in plan.runnable:
        setup = setups.get(planned.suite)
        reference = setup.make_reference(planned.suite) if setup else None
        path = reference.path if reference else planned.suite.partition("::")[0]
        if not Path(path).is_file() or uses_engine(path, Path()) or mentions_cell(Path(path)):
            continue
        laid_over = setup.axes if setup else {}
        names = [
            name
            for name, _ in planned.cell.axes
            if name not in (*_OUTSIDE, *laid_over) and not name.startswith(ENV_PREFIX)
        ]
        if names:
            found[planned.suite] = names
    return found

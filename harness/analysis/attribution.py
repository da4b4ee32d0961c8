"""Which recorded factor failures follow, and whether attempts may be pooled. Pure."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.contrast_pairs import name_cells
from harness.core.cell import Cell, parse_cell_key
from harness.core.plan import Plan
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.attribution import (
    DEVICE,
    ZYGOTE,
    Attribution,
    Factor,
    attribute_failures,
)
from harness.stats.contrasts import ALPHA, adjust_holm
from harness.stats.permutation import compute_runs_p
from harness.stats.replay import LeaseLog


def attribute_run(attempts: Sequence[AttemptRow]) -> Attribution:
    """Test every recorded factor over the valid attempts of a run, given in lease order."""
    factors = _list_factors(attempts)
    valid = [i for i, row in enumerate(attempts) if row.status in VALID]
    kept = [
        Factor(f.name, [f.values[i] for i in valid], axis=f.axis, ordered=f.ordered)
        for f in factors
    ]
    failed = [attempts[i].status is AttemptStatus.FAILED for i in valid]
    return attribute_failures(failed, kept, _read_leases([attempts[i] for i in valid]))


def _read_leases(attempts: Sequence[AttemptRow]) -> LeaseLog | None:
    """Return what the scheduler did; None if gangs overlapped, so that it cannot be replayed."""
    gangs = {tuple(row.devices) for row in attempts}
    if sum(map(len, gangs)) != len({device for gang in gangs for device in gang}):
        return None
    forked = Counter(row.zygote for row in attempts if row.isolation == "fork")
    return LeaseLog(
        cells=[(row.suite, row.cell) for row in attempts],
        seconds=[row.wall_seconds for row in attempts],
        devices=["+".join(row.devices) for row in attempts],
        per_zygote=max(forked.values(), default=None),
    )


def _list_factors(attempts: Sequence[AttemptRow]) -> list[Factor]:
    cells = [parse_cell_key(row.cell) for row in attempts]
    axes = dict.fromkeys(name for cell in cells for name, _ in cell.axes)
    before = _find_previous(attempts, cells)
    forked = any(row.isolation == "fork" for row in attempts)
    return [
        Factor("suite", [row.suite for row in attempts], axis=True),
        *(Factor(name, [cell.get(name) for cell in cells], axis=True) for name in axes),
        Factor(DEVICE, ["+".join(row.devices) for row in attempts]),
        Factor("node", [row.node for row in attempts]),
        # With spawn one keeper serves each device: that is the device again, no factor.
        *([Factor(ZYGOTE, [row.zygote for row in attempts])] if forked else []),
        Factor("position in the run", [row.position for row in attempts], ordered=True),
        Factor("first attempt on its device", [cell is None for cell in before]),
        Factor("previous cell on its device", before),
    ]


def _find_previous(attempts: Sequence[AttemptRow], cells: Sequence[Cell]) -> list[str | None]:
    """Return the cell that each attempt's first device ran before it; None for its first."""
    last: dict[str, str] = {}
    found: list[str | None] = [None] * len(attempts)
    for i in sorted(range(len(attempts)), key=lambda i: attempts[i].started):
        device = next(iter(attempts[i].devices), "")
        found[i] = last.get(device)
        last[device] = cells[i].label
    return found


def describe_clustering(plan: Plan, attempts: Sequence[AttemptRow]) -> list[str]:
    """Return a sentence per cell whose failures are not in random order."""
    names = name_cells(plan.runnable)
    outcomes: dict[str, list[bool]] = {name: [] for name in names.values()}
    for row in attempts:
        if row.status in VALID:
            outcomes[names[row.suite, row.cell]].append(row.status is AttemptStatus.FAILED)
    found = {name: p for name, o in outcomes.items() if (p := compute_runs_p(o)) is not None}
    adjusted = adjust_holm(list(found.values()))
    return [
        f"{name}: failures and passes are not in random order (runs test, p = {p:.2g}), so "
        "attempts are not independent and intervals that assume it are too narrow"
        for name, p in zip(found, adjusted, strict=True)
        if p <= ALPHA
    ]

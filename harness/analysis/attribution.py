"""Which recorded factor failures follow, and whether attempts may be pooled. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.contrast_pairs import name_cells
from harness.analysis.lanes import Lane, assign_lanes
from harness.core.cell import Cell, parse_cell_key
from harness.core.plan import Plan
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.stats.attribution import MOST_ATTEMPTS, Attribution, attribute_failures
from harness.stats.contrasts import ALPHA, adjust_holm
from harness.stats.factors import Factor
from harness.stats.permutation import compute_runs_p
from harness.stats.replay import LeaseLog, Origin


def attribute_run(attempts: Sequence[AttemptRow]) -> Attribution:
    """Test every recorded factor over the valid attempts of a run, given in lease order."""
    lanes = assign_lanes(attempts)
    factors = _list_factors(attempts, lanes)
    valid = [i for i, row in enumerate(attempts) if row.status in VALID][:MOST_ATTEMPTS]
    kept = [replace(f, values=[f.values[i] for i in valid]) for f in factors]
    failed = [attempts[i].status is AttemptStatus.FAILED for i in valid]
    rows = [attempts[i] for i in valid]
    return attribute_failures(failed, kept, _read_leases(rows, [lanes[i] for i in valid]))


def _read_leases(attempts: Sequence[AttemptRow], lanes: Sequence[Lane]) -> LeaseLog | None:
    """Return what the scheduler did; None if gangs overlapped, so that it cannot be replayed."""
    gangs = {lane.gang for lane in lanes}
    if sum(map(len, gangs)) != len({device for gang in gangs for device in gang}):
        return None
    forked = Counter(row.zygote for row in attempts if row.isolation == "fork")
    return LeaseLog(
        cells=[(row.suite, row.cell) for row in attempts],
        seconds=[row.wall_seconds for row in attempts],
        gangs=lanes,
        per_zygote=max(forked.values(), default=None),
    )


def _list_factors(attempts: Sequence[AttemptRow], lanes: Sequence[Lane]) -> list[Factor]:
    cells = [parse_cell_key(row.cell) for row in attempts]
    axes = dict.fromkeys(name for cell in cells for name, _ in cell.axes)
    before = _find_previous(attempts, cells, lanes)
    first = [cell is None for cell in before]
    forked = any(row.isolation == "fork" for row in attempts)
    # Device and node answer one question; on one node the device has its whole weight.
    place = 0.5 if len({row.node for row in attempts}) > 1 else 1.0
    return [
        Factor("suite", [row.suite for row in attempts], axis=True),
        *(Factor(name, [cell.get(name) for cell in cells], axis=True) for name in axes),
        Factor("device", ["+".join(lane.gang) for lane in lanes], origin=Origin.GANG, weight=place),
        Factor("node", [row.node for row in attempts], origin=Origin.GANG, weight=place),
        # With spawn one keeper serves each device: that is the device again, no factor.
        *(
            [Factor("zygote", [row.zygote for row in attempts], origin=Origin.ZYGOTE)]
            if forked
            else []
        ),
        Factor("others on its GPU", [lane.others for lane in lanes]),
        Factor("position in the run", [row.position for row in attempts], ordered=True),
        Factor("first attempt on its device", first, origin=Origin.FIRST, weight=0.5),
        Factor("previous cell on its device", before, origin=Origin.PREVIOUS, weight=0.5),
    ]


def _find_previous(
    attempts: Sequence[AttemptRow], cells: Sequence[Cell], lanes: Sequence[Lane]
) -> list[str | None]:
    """Return the cell that each attempt's gang ran before it; None for its first."""
    last: dict[tuple[tuple[str, ...], int], str] = {}
    found: list[str | None] = [None] * len(attempts)
    for i in sorted(range(len(attempts)), key=lambda i: attempts[i].started):
        gang = lanes[i].gang, lanes[i].number
        found[i] = last.get(gang)
        last[gang] = cells[i].label
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

"""`harness plan`: how many attempts a question takes, per cell and in device-hours."""

from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from harness.analysis.contrast_pairs import list_pairs
from harness.analysis.wording import format_percent
from harness.core.errors import NoStoreError
from harness.core.exits import ExitCode
from harness.core.plan import plan_from_dict
from harness.driver.stores import open_known_stores
from harness.stats.attempts_needed import attempts_needed_until_decided, compute_device_hours
from harness.stats.contrasts import ALPHA
from harness.stats.intervals import attempts_needed_below, attempts_needed_below_anytime
from harness.stats.power import attempts_needed_fixed, check_contrasts
from harness.stats.wording import count_contrasts


@dataclass(frozen=True, slots=True)
class Budget:
    """What is to be decided. `below` is the rate of a gate, `like` the stored run to cost it by."""

    base_rate: float
    target_rate: float
    power: float
    contrasts: int | None = None
    below: float | None = None
    like: str | None = None


@dataclass(frozen=True, slots=True)
class Precedent:
    """A stored run as a yardstick: its planned contrasts, and each cell's seconds x devices."""

    run_id: str
    contrasts: int
    costs: tuple[tuple[float, int], ...]

    def hours(self, per_cell: float) -> float:
        """Device-hours of so many attempts in each of its cells."""
        return sum(compute_device_hours(per_cell, seconds, tp) for seconds, tp in self.costs)


def print_budget(budget: Budget, location: str | None) -> int:
    """Print what the question takes. Returns the exit code."""
    precedent = _precedent(budget.like, location)
    contrasts = budget.contrasts
    if contrasts is None:
        contrasts = max(precedent.contrasts, 1) if precedent else 1
    check_contrasts(contrasts)
    rows = _make_rows(budget, contrasts)
    console = Console()
    console.print(_title(budget, contrasts), soft_wrap=True)
    console.print(_table(rows, precedent))
    if precedent:
        console.print(
            f"device-hours: as run {precedent.run_id}, {len(precedent.costs)} cells, "
            "its median seconds per attempt"
        )
    else:
        console.print("device-hours: unknown, no stored run to take durations from")
    return ExitCode.OK


def _title(budget: Budget, contrasts: int) -> str:
    family = count_contrasts(contrasts)
    return (
        f"to tell a rate of {budget.base_rate:g} from {budget.target_rate:g} "
        f"with {format_percent(budget.power)} power, {family}, 5 % error:"
    )


def _make_rows(budget: Budget, contrasts: int) -> list[tuple[str, float]]:
    """What to print, and attempts per cell."""
    pair = budget.base_rate, budget.target_rate
    fixed = attempts_needed_fixed(*pair, budget.power, ALPHA / contrasts)
    sequential = attempts_needed_until_decided(*pair, budget.power, contrasts)
    rows: list[tuple[str, float]] = [
        (f"fixed number ({fixed.test})", fixed.n),
        ("until decided: expected", sequential.expected),
        ("until decided: nine runs of ten", sequential.n90),
        ("until decided: cap for this power", sequential.cap),
    ]
    if budget.below is not None:
        proof = f"below {format_percent(budget.below)}, all clean"
        rows.append((f"{proof}: fixed number", attempts_needed_below(budget.below)))
        rows.append((f"{proof}: until decided", attempts_needed_below_anytime(budget.below)))
    return rows


def _table(rows: list[tuple[str, float]], precedent: Precedent | None) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("attempts per cell", justify="right")
    table.add_column("device-hours", justify="right")
    for what, per_cell in rows:
        hours = f"{precedent.hours(per_cell):.2g}" if precedent else "-"
        table.add_row(what, f"{per_cell:.0f}", hours)
    return table


def _precedent(name: str | None, location: str | None) -> Precedent | None:
    """The run to cost by: the one named, else the newest, else none."""
    try:
        with open_known_stores(location) as stores:
            if name is None and not stores.list_runs():
                return None
            store, run = stores.find_run(name or "latest")
            rows = store.attempts(run.id)
    except NoStoreError:
        if name or location:
            raise
        return None
    plan = plan_from_dict(run.plan)
    costs = []
    for planned in plan.runnable:
        key = planned.suite, planned.cell.key
        seconds = [row.wall_seconds for row in rows if (row.suite, row.cell) == key]
        if seconds:
            costs.append((median(seconds), planned.cell.devices))
    return Precedent(run.id, len(list_pairs(plan)), tuple(costs)) if costs else None

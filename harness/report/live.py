"""A run that goes on, as a picture in a terminal and as one line in a log. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.analysis.wording import format_duration
from harness.core.events import Event, read_number, read_text
from harness.report.layout import clean_text

_MIB = 1 << 20
#: So many failures, and attempts under way, are shown.
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class LiveCell:
    """A cell so far; `planned` attempts are to be made."""

    label: str
    passed: int
    failed: int
    infra: int
    planned: int

    @property
    def ended(self) -> int:
        """Attempts that have ended."""
        return self.passed + self.failed + self.infra


@dataclass(frozen=True, slots=True)
class LiveAttempt:
    """An attempt under way: what rank 0 did last, and for how many seconds it has run."""

    id: str
    label: str
    seconds: float
    doing: str
    devices: tuple[str, ...] = ()
    """Their ids, if they are known."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run at one moment. `seconds_left` is None as long as nothing can be said."""

    id: str
    status: str
    cells: tuple[LiveCell, ...]
    attempts: tuple[LiveAttempt, ...]
    failures: tuple[str, ...]
    seconds_left: float | None = None

    @property
    def ended(self) -> int:
        """Attempts that have ended."""
        return sum(cell.ended for cell in self.cells)

    @property
    def planned(self) -> int:
        """Attempts of the plan."""
        return sum(cell.planned for cell in self.cells)

    @property
    def failed(self) -> int:
        """Attempts that failed."""
        return sum(cell.failed for cell in self.cells)


def describe_event(event: Event) -> str | None:
    """Return what rank 0 is doing, in a few words; None if the event does not say."""
    match event["event"]:
        case "capture":
            mib = read_number(event, "pool_bytes") / _MIB
            graph = f"{read_text(event, 'role')} bs {read_number(event, 'bs'):.0f}"
            return f"captured {graph}, pool {mib:.1f} MiB"
        case "capture_plan":
            return f"capturing {read_text(event, 'role')}, {read_text(event, 'resolved')}"
        case "phase":
            return read_text(event, "name")
        case "test_start":
            test = read_text(event, "id")
            return test.partition("::")[2] or test
    return None


def describe_live(run: LiveRun) -> str:
    """Return the run in one line of a log."""
    left = f", about {format_duration(run.seconds_left)} left" if run.seconds_left else ""
    return f"run {run.id}: {run.ended}/{run.planned} attempts, {run.failed} failed{left}"


def render_live(run: LiveRun) -> RenderableType:
    """Return the run as a picture: cells filling in, attempts under way, the last failures."""
    parts: list[RenderableType] = [
        Text(f"{describe_live(run)}, {run.status}", style="bold"),
        _render_cells(run.cells),
    ]
    if run.attempts:
        parts.append(_render_attempts(run.attempts))
    parts += [
        Text(clean_text(failure), style="red", no_wrap=True, overflow="ellipsis")
        for failure in run.failures[-_SHOWN:]
    ]
    return Group(*parts)


def _render_cells(cells: Sequence[LiveCell]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("cell", "", "ended", "failed", "infra"):
        table.add_column(name, justify="right" if name in ("ended", "failed", "infra") else "left")
    for cell in cells:
        table.add_row(
            Text(clean_text(cell.label)),
            ProgressBar(cell.planned, cell.ended, width=20),
            f"{cell.ended}/{cell.planned}",
            Text(f"{cell.failed}/{cell.passed + cell.failed}", style="red" if cell.failed else ""),
            str(cell.infra or "-"),
        )
    return table


def _render_attempts(attempts: Sequence[LiveAttempt]) -> Table:
    shown = attempts[:_SHOWN]
    columns = {
        "under way": [Text(one.id) for one in shown],
        "devices": [Text(_shorten_devices(one.devices)) for one in shown],
        "cell": [Text(clean_text(one.label)) for one in shown],
        "s": [Text(f"{one.seconds:.0f}") for one in shown],
        "rank 0": [Text(clean_text(one.doing)) for one in shown],
    }
    if not any(one.devices for one in shown):
        del columns["devices"]
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name == "s" else "left", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _shorten_devices(ids: Sequence[str]) -> str:
    """Return device ids that fit a column: a GPU's UUID by its first group."""
    return ", ".join(clean_text("-".join(one.split("-")[:2])) for one in ids)

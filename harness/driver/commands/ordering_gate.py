"""`harness gate`: per class and backend, what the ordering gate decides, beside what runs observed.

The table that the pull request with the gate made by hand, for every class of every suite.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harness.core.backends import BACKENDS
from harness.core.cell import Cell, parse_cell_key
from harness.core.errors import StoreError
from harness.core.exits import ExitCode
from harness.core.order import is_in_ci
from harness.core.records import AttemptRow
from harness.core.seen import name_capture_order
from harness.core.suite import (
    BACKEND_ROLES,
    EngineDeclaration,
    clashes,
    parse_suite,
    read_declarations,
    role_backends,
)
from harness.driver.planning import gate_order
from harness.driver.stores import open_known_stores
from harness.report.listing import print_listing
from harness.report.terminal import print_line
from harness.report.views import Shape

_COLUMNS = {
    "class": Shape.LABEL,
    "backend": Shape.LIST,
    "not in CI": Shape.LABEL,
    "in CI": Shape.LABEL,
    "observed": Shape.LIST,
}
_HEADING = (
    "The order in which each class captures with `order` gate, in CI or not; several backends are "
    "those of prefill, decode and draft."
)
#: Newest runs looked at for observations.
_RUNS = 20


def suites_under(folder: str) -> list[str]:
    """Every suite file of a folder, by name."""
    return sorted(str(path) for path in Path(folder).rglob("test_*.py"))


def print_gate(suites: Sequence[str], location: str | None) -> int:
    """Print one table per suite: a line per class and backend that the class can be given."""
    rows, console = _captures(location), Console()
    here = "in CI" if is_in_ci(os.environ) else "not in CI"
    print_line(console, f"{_HEADING} This machine is {here}.")
    for suite in suites:
        lines = _format_lines(suite, [row for row in rows if row.suite.startswith(suite)])
        print_listing(console, _COLUMNS, lines, suite)
    return ExitCode.OK


def _format_lines(suite: str, rows: Sequence[AttemptRow]) -> Iterator[tuple[str, ...]]:
    """A class that pins its backends has one line; any other one per backend of the table."""
    declared = read_declarations(parse_suite(suite))
    for name, one in (declared.classes or {"": declared.module}).items():
        for cell in _list_cells(one):
            roles = role_backends(one.engine_args, cell.as_dict())
            yield (
                name or "(module)",
                _name_backends(roles),
                gate_order(one, cell, False).value,
                gate_order(one, cell, True).value,
                ", ".join(_collect_observed(rows, name, cell)) or "no run stored",
            )


def _name_backends(roles: Mapping[str, str]) -> str:
    """Return the one backend of all roles, or that of prefill, decode and draft, in this order."""
    named = [roles[role] for role in BACKEND_ROLES]
    return named[0] if len(set(named)) == 1 else ", ".join(named)


def _list_cells(one: EngineDeclaration) -> list[Cell]:
    cells = [Cell((("backend", name),)) for name in BACKENDS]
    return [cell for cell in cells if not clashes(one, cell.as_dict())] or [Cell(())]


def _captures(location: str | None) -> list[AttemptRow]:
    """Attempts of the newest runs that captured; none where there is no store."""
    try:
        with open_known_stores(location) as stores:
            newest = stores.list_runs()[:_RUNS]
            rows = [row for store, run in newest for row in store.attempts(run.id)]
    except StoreError:
        return []
    return [row for row in rows if row.capture.trace]


def _collect_observed(rows: Sequence[AttemptRow], name: str, cell: Cell) -> list[str]:
    """`requested -> observed (attempts)` of one class in cells of this backend."""
    seen: Counter[str] = Counter()
    for row in rows:
        wanted, ran = cell.get("backend"), parse_cell_key(row.cell)
        trace = [event for event in row.capture.trace if _find_class(event) == name]
        if trace and wanted in (None, ran.get("backend")):
            requested = ran.get("order", row.capture.requested)
            seen[f"{requested} -> {name_capture_order(trace)}"] += 1
    return [f"{text} ({count})" for text, count in sorted(seen.items())]


def _find_class(event: dict[str, object]) -> str:
    """The class whose test was running at a capture; empty for plain tests."""
    parts = str(event.get("test") or "").split("::")
    return parts[1] if len(parts) > 2 else ""

"""`harness gate`: per class, what the ordering gate decides, beside what runs observed.

The table that the pull request with the gate made by hand, for every class of a suite.
"""

import os

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core.cell import Cell
from harness.core.errors import StoreError
from harness.core.exits import ExitCode
from harness.core.order import is_in_ci
from harness.core.suite import BACKEND_ROLES, EngineDeclaration, parse_suite, read_declarations
from harness.driver.planning import gate_order
from harness.report.summary import cell_of
from harness.store.open import open_store
from harness.store.records import AttemptRow
from harness.store.store import Store


def print_gate(suite: str, location: str | None) -> int:
    """Print one line per class; a class without engine arguments says so."""
    ref = parse_suite(suite)
    declared = read_declarations(ref)
    in_ci = is_in_ci(os.environ)
    table = Table(
        title=f"ordering gate, {'in CI' if in_ci else 'not in CI'}: {escape(suite)}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    columns = (
        "class",
        "prefill, decode, draft",
        "batch sizes",
        "gate here",
        "gate in CI",
        "observed",
    )
    for name in columns:
        table.add_column(name)
    seen = _observations(suite, location)
    for name, one in (declared.classes or {"": declared.module}).items():
        table.add_row(
            escape(name or "(module)"),
            _backends(one),
            escape(str(one.engine_args.get("cuda_graph_bs", "default"))),
            _decision(one, in_ci),
            _decision(one, True),
            escape("\n".join(seen) or "no run stored"),
        )
    Console().print(table)
    return ExitCode.OK


def _backends(one: EngineDeclaration) -> str:
    backend = one.engine_args.get("backend")
    roles = [str(one.engine_args.get(role, backend) or "") for role in BACKEND_ROLES]
    return ", ".join(roles) if any(roles) else "the cell's"


def _decision(one: EngineDeclaration, in_ci: bool) -> str:
    return gate_order(one, Cell(()), in_ci).value


def _observations(suite: str, location: str | None) -> list[str]:
    """What runs of this suite observed: `requested: observed`, each once."""
    try:
        store = Store(open_store(location, write=False))
    except StoreError:
        return []
    try:
        rows = [row for run in store.runs()[:20] for row in store.attempts(run.id)]
    finally:
        store.close()
    mine = [row for row in rows if row.suite.startswith(suite) and row.graphs]
    return sorted({_observation(row) for row in mine})


def _observation(row: AttemptRow) -> str:
    return f"{cell_of(row.cell).get('order', row.order_requested)} -> {row.order_observed}"

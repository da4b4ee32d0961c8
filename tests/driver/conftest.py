"""Runs against a pool without Ray."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedCell, plan_to_dict
from harness.core.records import RunRecord
from harness.driver.context import RunContext
from harness.driver.execution import Session
from harness.driver.interruption import Interruption
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.store.open import open_store
from harness.store.store import Store

from .workplace import CELL, Open, Workplace


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text("def test_a(): pass\n")
    opened: list[Store] = []

    def call(
        repeats: int = 4, warmup: int = 0, cells: tuple[Cell, ...] = (CELL,), **options: object
    ) -> Workplace:
        planned = tuple(PlannedCell("s.py", cell) for cell in cells)
        plan = Plan(planned, repeats, 7, False, False, warmup=warmup)
        record = RunRecord("r", 1.0, 7, "cpu", plan_to_dict(plan), {}, {"sha": None})
        path, json_file = tmp_path / "store.sqlite", tmp_path / "run.json"
        store = open_store(str(path), write=True)
        opened.append(store)
        store.add_run(record)
        chosen = RunOptions(suites=("s.py",), repeats=repeats, **options)  # type: ignore[arg-type]
        context = RunContext(record, plan, chosen, "spawn")
        context.folder.mkdir(parents=True)
        session = Session(store, Outputs({"json": json_file}), Interruption())
        return Workplace(context, session, path, json_file)

    yield call
    for store in opened:
        store.close()

"""Which experiments are made on a failing cell, and why others are not."""

from pathlib import Path

import pytest

from harness.core.cell import read_cell_dict
from harness.driver.options import RunOptions
from harness.driver.trials import ALONE, UNCHANGED, FailingCell, plan_trials

ROOT = Path(__file__).parents[2]


def plan_for(suite: str, monkeypatch: pytest.MonkeyPatch, **axes: str | int) -> dict[str, str]:
    """Return each arm with the one value that it changes, or why it is not done."""
    monkeypatch.chdir(ROOT)
    cell = read_cell_dict({"order": "ascending", "backend": "torch_native", "tp": 1, **axes})
    failing = FailingCell(suite, cell, "wrong-output", RunOptions(), "cpu")
    told = {}
    for trial in plan_trials(failing):
        changed = set(trial.planned.cell.axes) - set(cell.axes) if trial.planned else set()
        told[trial.name] = f"{changed}" if trial.planned else trial.why_not
        assert len(changed) == (0 if trial.name in (UNCHANGED, ALONE) or not trial.planned else 1)
    return told


def test_each_arm_changes_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = plan_for("suites/faults/test_b3_workspace_not_monotone.py", monkeypatch)
    assert "descending" in told["order"]
    assert "per-graph" in told["pools"]
    assert "already" in told["one rank"]
    assert "no tree" in told["chain"]


def test_a_foreign_suite_gets_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    told = plan_for("tests/driver/test_trials.py", monkeypatch)
    assert "engine of ours" in told["pools"]
    assert "poison" in told["poison"]

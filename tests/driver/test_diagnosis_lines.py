"""What a diagnosis prints: what fits and why, what is excluded, what is not known, what to do."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.core.cell import read_cell_dict
from harness.diagnosis.findings import Finding, Tally
from harness.diagnosis.mechanisms import BY_NAME, MECHANISMS, NEXT, name_mechanism
from harness.driver.diagnosis_lines import list_conclusions, print_outcome, print_start
from harness.driver.examining import MOST
from harness.driver.options import RunOptions
from harness.driver.trials import UNCHANGED, FailingCell, Outcome, plan_trials

ROOT = Path(__file__).parents[2]
SUITE = "suites/faults/test_b3_workspace_not_monotone.py"


def make_outcome(passing: set[str], undecided: frozenset[str] = frozenset()) -> Outcome:
    """Return the outcome in which these arms pass, these are open, and all others fail."""
    cell = read_cell_dict({"order": "descending", "backend": "torch_native", "tp": 1})
    failing = FailingCell(SUITE, cell, "wrong-output", RunOptions(), "cpu")
    trials = plan_trials(failing)
    for one in trials:
        if not one.planned:
            continue
        fails = one.name not in passing | undecided
        one.tally, one.kinds = Tally(6 * fails, 6), {"wrong-output": 6} if fails else {}
        one.finding = Finding.FAILS if fails else Finding.PASSES
        if one.name in undecided:
            one.finding = Finding.UNDECIDED
    findings = {one.name: one.finding for one in trials if one.name != UNCHANGED}
    return Outcome("ab", failing, tuple(trials), name_mechanism(findings, "wrong-output"))


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def read_conclusions(outcome: Outcome) -> str:
    return "\n".join(list_conclusions(outcome))


def test_what_fits_is_told_with_the_experiments_that_make_failures_go_away() -> None:
    told = read_conclusions(make_outcome({"eager", "order", "two-phase", "single"}))
    assert "fits: workspace-grown-in-capture" in told
    assert "without graphs" in told
    assert told.count("excluded: ") == len(MECHANISMS) - 1


def test_if_nothing_fits_the_nearest_class_is_told_with_what_speaks_against_it() -> None:
    outcome = make_outcome({"eager", "pools", "cold"})
    told = read_conclusions(outcome)
    assert not outcome.diagnosis.fitting
    assert "nearest: " in told
    assert "fits: " not in told


def test_what_was_not_done_and_what_stayed_open_is_told() -> None:
    told = read_conclusions(make_outcome({"eager"}, frozenset({"short"})))
    assert f"could not tell within {MOST} attempts: short" in told
    assert "not done: memcheck" in told
    assert told.splitlines()[-1].startswith("next: ")


def test_failures_of_other_kinds_are_counted_and_told() -> None:
    outcome = make_outcome({"eager"})
    assert "several faces" not in read_conclusions(outcome)
    outcome.trials[0].kinds = {"wrong-output": 4, "early-exit": 2}
    assert "2 failures are not wrong-output but early-exit 2" in read_conclusions(outcome)


def test_a_cell_that_did_not_fail_again_gets_a_bound_and_no_class() -> None:
    outcome = make_outcome(set())
    outcome.trials[0].tally = Tally(0, 18)
    told = read_conclusions(outcome)
    assert "15 %" in told
    assert "fits: " not in told
    assert "next: " in told


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_keeps_every_rate_whole_at_any_width(width: int) -> None:
    outcome = replace(make_outcome({"eager"}), amplified="poison")
    out = io.StringIO()
    print_outcome(Console(file=out, width=width), outcome)
    assert out.getvalue().count("0/6") == 1
    assert "100 % [54 %, 100 %]" in out.getvalue()
    assert "not the suite's own" in out.getvalue()


def test_the_start_tells_the_cell_and_how_many_experiments_there_are() -> None:
    out = io.StringIO()
    outcome = make_outcome({"eager"})
    print_start(Console(file=out, width=80), outcome.failing)
    made = sum(one.planned is not None for one in outcome.trials) - 1
    assert f"{made} experiments" in out.getvalue()
    assert SUITE in out.getvalue()


def test_every_next_step_is_of_a_class_that_exists() -> None:
    assert set(NEXT) <= set(BY_NAME)

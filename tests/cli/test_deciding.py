"""Stopping, gates, planning and comparing, through the real command."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import OUTCOMES, Done

ONE_CELL = ("--order", "ascending", "--tp", 1)


@pytest.fixture(scope="module")
def decided(harness: Callable[..., Done]) -> Done:
    return harness(
        "run", OUTCOMES / "by_environment.py", "--until", "decided", "--repeats", 30,
        "--env", "BREAKS=no,yes", *ONE_CELL, "--seed", 3, json_file=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def held(harness: Callable[..., Done]) -> Done:
    return harness(
        "run", OUTCOMES / "by_environment.py", "--max-flake-rate", 0.3, "--repeats", 9,
        "--env", "BREAKS=no", *ONE_CELL, "--seed", 4, json_file=True,
    )  # fmt: skip


def test_a_run_until_decided_stops_early_and_says_what_it_found(decided: Done) -> None:
    assert decided.code == 1
    assert decided.run["run"]["status"] == "decided"
    (contrast,) = decided.run["contrasts"]
    assert contrast["finding"] == "different"
    assert contrast["test"] == "calibrated e-process"
    assert contrast["sentence"].startswith("env:BREAKS yes fails more often than env:BREAKS no: ")
    attempts = sum(cell["attempts"] for cell in decided.run["cells"])
    assert attempts < 30
    assert f"stopped after {attempts} of at most 60 attempts" in decided.out
    assert "attempts are not needed" in decided.err


def test_an_early_stopped_run_prints_anytime_valid_intervals_only(decided: Done) -> None:
    methods = {cell["interval"]["method"] for cell in decided.run["cells"]}
    assert methods == {"beta-binomial confidence sequence"}


def test_resuming_a_decided_run_runs_nothing(
    harness: Callable[..., Done], decided: Done, folder: Path
) -> None:
    resume = ("run", "--resume", decided.run["run"]["id"], "--markdown", "resumed.md")
    again = harness(*resume, json_file=True)
    assert again.code == 1
    assert decided.run["contrasts"][0]["sentence"][:40] in (folder / "resumed.md").read_text()
    assert again.run["cells"] == decided.run["cells"]


def test_a_gate_that_holds_exits_0_and_says_at_what_rate(held: Done) -> None:
    assert held.code == 0, held.out + held.err
    assert held.run["gate"] == {"max_flake_rate": 0.3, "state": "holds"}
    assert "every cell fails less often than 30 %" in held.out


def test_a_budget_too_small_for_its_question_is_said_up_front(held: Done, decided: Done) -> None:
    assert "warning: 30 attempts per cell are too few" in decided.err
    assert "warning" not in held.err


def test_comparing_two_runs_names_the_cell_and_what_else_changed(
    harness: Callable[..., Done], decided: Done, held: Done
) -> None:
    done = harness("compare", decided.run["run"]["id"], held.run["run"]["id"])
    assert done.code == 3
    assert "undecided: " in done.out
    assert "env:BREAKS yes: only in run" in done.out
    assert "nothing recorded but the attempts' seeds" in done.out


@pytest.mark.usefixtures("decided")
def test_planning_prints_attempts_and_device_hours(harness: Callable[..., Done]) -> None:
    done = harness("plan", "--base-rate", 0.2, "--target-rate", 0.01, "--contrasts", 1,
                   "--below", 0.02)  # fmt: skip
    assert done.code == 0, done.err
    assert "fixed number (Boschloo)" in done.out
    rows = {line.partition("  ")[0]: line.split() for line in done.out.splitlines()}
    assert rows["fixed number (Boschloo)"][3] == "38"
    assert rows["below 2.0 %, all clean: fixed number"][-2] == "149"
    assert "device-hours: as run" in done.out


def test_planning_by_a_store_that_is_not_there_exits_6(
    harness: Callable[..., Done], tmp_path: Path
) -> None:
    missing = harness("plan", "--store", tmp_path / "none.sqlite")
    assert missing.code == 6
    assert "no store at" in missing.err


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "--base-rate", 2), "give one from 0 to 1"),
        (("run", OUTCOMES / "passes.py", "--until", "decided", *ONE_CELL), "nothing to decide"),
        (("compare", "nosuch", "latest"), "no run 'nosuch'"),
    ],
)
def test_questions_without_an_answer_are_one_line_and_exit_2(
    harness: Callable[..., Done], arguments: tuple[object, ...], message: str
) -> None:
    done = harness(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err

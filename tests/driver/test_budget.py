"""`harness plan`: what it refuses, and what it says where no run was stored."""

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.driver.commands.plan import Budget, print_budget


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (Budget(0.1, 0.1, 0.8), "cannot be told apart"),
        (Budget(-0.1, 0.1, 0.8), "give one from 0 to 1"),
        (Budget(0.2, 0.0, 1.0), "give one between 0 and 1"),
        (Budget(0.2, 0.0, 0.8, contrasts=0), "leave nothing to decide"),
        (Budget(0.2, 0.0, 0.8, below=0.0), "failure rate of 0"),
        (Budget(float("nan"), 0.0, 0.8), "give one from 0 to 1"),
        (Budget(0.5001, 0.5, 0.8), "not decided within 20000 blocks"),
    ],
)
def test_a_question_that_no_plan_answers_is_refused(
    budget: Budget, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        print_budget(budget, None)


def test_without_a_stored_run_the_hours_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert print_budget(Budget(0.2, 0.0, 0.8), None) == 0
    assert "device-hours: unknown, no stored run" in capsys.readouterr().out

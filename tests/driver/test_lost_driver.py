"""A run that is marked running although nobody runs it: said, whatever the reason."""

import shutil
from pathlib import Path

import pytest

from harness.core.plan import Plan, plan_to_dict
from harness.core.records import RunRecord
from harness.core.statuses import RunStatus
from harness.driver.commands.report import show_run
from harness.driver.context import find_run_folder
from harness.driver.outputs import Outputs
from harness.driver.ownership import describe_status, own_run
from harness.store.open import open_store

PLAN = Plan((), 1, 7, False, False)
RECORD = RunRecord("r", 1.0, 7, "cpu", plan_to_dict(PLAN), {}, {"sha": None})


def test_a_running_run_without_a_driver_is_shown_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "driver is gone" in describe_status(RECORD)
    with own_run(RECORD, find_run_folder(RECORD)):
        assert describe_status(RECORD) == RunStatus.RUNNING


def test_a_store_that_was_copied_without_its_log_says_that_something_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("store.sqlite", write=True) as store:
        store.add_run(RECORD)
        shutil.copy("store.sqlite", "copy.sqlite")
        store.end_run("r", RunStatus.COMPLETE)
    show_run("r", "copy.sqlite", Outputs())
    assert "without its -wal" in capsys.readouterr().err
    show_run("r", "store.sqlite", Outputs())
    assert "-wal" not in capsys.readouterr().err

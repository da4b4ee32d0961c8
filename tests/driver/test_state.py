"""Where stores, run folders and worktrees lie, by one rule for every command."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import NoStoreError, UsageError
from harness.core.plan import Plan, plan_to_dict
from harness.core.records import DriverIdentity, RunRecord
from harness.driver.commands.runs import list_runs
from harness.driver.context import find_run_folder, make_run_folder_path
from harness.driver.revisions.worktrees import find_worktrees_folder
from harness.driver.state import (
    STATE_VARIABLE,
    find_state_folder,
    list_stores,
    locate_store,
)
from harness.driver.stores import locate_run, open_known_stores
from harness.store.open import open_store

RECORD = RunRecord(
    "aaaa1111", 1.0, 7, "cpu", plan_to_dict(Plan((), 1, 7, False, False)), {}, {"sha": None}
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "project"
    (made / ".git").mkdir(parents=True)
    (made / "sub").mkdir()
    monkeypatch.chdir(made)
    return made


def store_run(location: str, record: RunRecord) -> None:
    with open_store(location, write=True) as store:
        store.add_run(record)


def test_a_persons_own_runs_lie_in_the_current_folder(checkout: Path) -> None:
    assert find_state_folder(of_revisions=False) == checkout / ".harness"


def test_runs_of_revisions_lie_outside_every_checkout_and_are_found_from_its_subfolders(
    checkout: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = find_state_folder(of_revisions=True)
    assert folder.is_relative_to(state_home) and folder.name.startswith("project-")
    assert find_worktrees_folder() == folder / "worktrees"
    monkeypatch.chdir(checkout / "sub")
    assert find_state_folder(of_revisions=True) == folder


def test_a_state_folder_inside_the_measured_checkout_is_refused(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(checkout / "state"))
    with pytest.raises(UsageError, match=STATE_VARIABLE):
        find_state_folder(of_revisions=True)


@pytest.mark.parametrize(
    ("marker", "variable"), [("GITHUB_ACTIONS", "RUNNER_TEMP"), ("JENKINS_URL", "WORKSPACE_TMP")]
)
def test_in_ci_everything_lies_in_the_runners_temporary_folder(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, marker: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "/runner/temp")
    assert find_state_folder(of_revisions=False) == checkout / ".harness"  # not in a CI job
    monkeypatch.setenv(marker, "true")
    both = {find_state_folder(of_revisions=flag) for flag in (False, True)}
    assert both == {Path("/runner/temp/harness")}
    assert list_stores() == ["/runner/temp/harness/store.sqlite"]


def test_a_variable_decides_before_every_other_rule(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "kept")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("RUNNER_TEMP", "/runner/temp")
    assert find_state_folder(of_revisions=True) == checkout / "kept"


def test_readers_find_runs_of_both_places_newest_first(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkout.is_dir()
    store_run(locate_store(of_revisions=False), RECORD)
    store_run(locate_store(of_revisions=True), replace(RECORD, id="bbbb2222", created=2.0))
    with open_known_stores(None) as stores:
        assert [run.id for _, run in stores.list_runs()] == ["bbbb2222", "aaaa1111"]
        assert stores.find_run("latest")[1].id == "bbbb2222"
        assert stores.find_run("aa")[1].id == "aaaa1111"
    assert locate_run("bbbb", None) == locate_store(of_revisions=True)
    list_runs(None)
    listed = capsys.readouterr().out
    assert listed.index("bbbb2222") < listed.index("aaaa1111")


def test_within_one_store_the_order_of_beginning_counts_and_not_the_clock(checkout: Path) -> None:
    assert checkout.is_dir()
    own = locate_store(of_revisions=False)
    store_run(own, replace(RECORD, created=9.0))
    store_run(own, replace(RECORD, id="bbbb2222", created=5.0))
    store_run(locate_store(of_revisions=True), replace(RECORD, id="cccc3333", created=7.0))
    with open_known_stores(None) as stores:
        found = [run.id for _, run in stores.list_runs()]
    assert found.index("bbbb2222") < found.index("aaaa1111")


def test_a_named_store_is_the_only_one_that_is_read(checkout: Path) -> None:
    store_run(locate_store(of_revisions=False), RECORD)
    with (
        pytest.raises(NoStoreError, match=r"none\.sqlite"),
        open_known_stores(str(checkout / "none.sqlite")),
    ):
        pass


def test_without_any_store_both_places_are_named(checkout: Path) -> None:
    with pytest.raises(NoStoreError) as refused, open_known_stores(None):
        pass
    assert all(location in str(refused.value) for location in list_stores())
    assert not (checkout / ".harness").exists()


def test_a_runs_folder_is_the_one_that_its_driver_named(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run_folder_path("aaaa1111", of_revisions=False)
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    known = replace(RECORD, driver=DriverIdentity("host", 7, str(folder)))
    assert find_run_folder(known) == folder == checkout / ".harness/runs/aaaa1111"
    moved = replace(RECORD, driver=DriverIdentity("host", 7, "/gone/runs/aaaa1111"))
    assert find_run_folder(moved) == tmp_path / ".harness/runs/aaaa1111"

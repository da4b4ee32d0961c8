"""What a resumed run refuses: anything that would mix two versions in one rate."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import StoreError, UsageError
from harness.core.records import RunRecord
from harness.driver.changes import choose_parts, list_differences
from harness.driver.fingerprint import fingerprint
from harness.driver.outputs import Outputs
from harness.driver.ownership import has_driver, identify_driver, own_run
from harness.driver.spelling import spell_suite
from harness.driver.state import refuse_tracked_state


def run_git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "test_it.py").write_text("def test_a(): pass\n")
    (tmp_path / "engine.py").write_text("x = 1\n")
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take_fingerprint() -> dict[str, Any]:
    return fingerprint([], ["test_it.py::test_a"])


def change_suite(folder: Path) -> None:
    (folder / "test_it.py").write_text("def test_a(): assert 0\n")
    run_git(folder, "commit", "-qam", "second")


def remove_suite(folder: Path) -> None:
    (folder / "test_it.py").unlink()


def change_engine(folder: Path) -> None:
    (folder / "engine.py").write_text("x = 2\n")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (change_suite, ["commit", "suite test_it.py"]),
        (remove_suite, ["uncommitted", "suite test_it.py"]),
        (change_engine, ["uncommitted"]),
    ],
)
def test_each_change_is_named(
    checkout: Path, change: Callable[[Path], None], named: list[str]
) -> None:
    then = take_fingerprint()
    change(checkout)
    found = list(list_differences(then, take_fingerprint(), has_revisions=False))
    assert len(found) == len(named)
    assert all(text.startswith(start) for text, start in zip(found, named, strict=True))
    assert not list(list_differences(then, take_fingerprint(), has_revisions=True))


def test_files_that_a_run_itself_writes_are_no_change(checkout: Path) -> None:
    then = take_fingerprint()
    (checkout / "run.json").write_text("{}")
    (checkout / ".harness").mkdir()
    (checkout / ".harness/store.sqlite").write_text("x")
    assert not list(list_differences(then, take_fingerprint(), has_revisions=False))


def test_another_package_version_is_refused_with_both_named(checkout: Path) -> None:
    assert checkout.is_dir()
    then = take_fingerprint()
    record = RunRecord("r", 1.0, 7, "cpu", {}, {}, then)
    now = {**then, "packages": {**then["packages"], "pytest": "99"}}
    with pytest.raises(UsageError, match=r"package pytest .* is now 99"):
        choose_parts(record, now, has_revisions=False, allowed=False)
    (part,) = choose_parts(record, now, has_revisions=False, allowed=True)
    assert len(part["changed"]) == 1
    changed = replace(record, parts=(part,))
    assert choose_parts(changed, now, has_revisions=False, allowed=False) == (part,)
    with pytest.raises(UsageError, match="allow-changed"):
        choose_parts(changed, then, has_revisions=False, allowed=False)  # back again


def test_what_an_old_run_did_not_store_is_not_compared() -> None:
    assert not list(
        list_differences({"sha": None}, take_fingerprint_of_nothing(), has_revisions=False)
    )


def take_fingerprint_of_nothing() -> dict[str, Any]:
    return {"sha": None, "suites": {"a.py": "1"}, "packages": {"pytest": "9"}}


def test_a_run_has_one_driver(tmp_path: Path) -> None:
    record = RunRecord("r", 1.0, 7, "cpu", {}, {}, {}, driver=identify_driver(tmp_path))
    assert not has_driver(tmp_path)
    with own_run(record, tmp_path):
        assert has_driver(tmp_path)
        with (
            pytest.raises(UsageError, match=f"process {identify_driver(tmp_path).pid} on "),
            own_run(record, tmp_path),
        ):
            pass
    assert not has_driver(tmp_path)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "driver.lock").symlink_to(target)
    record = RunRecord("r", 1.0, 7, "cpu", {}, {}, {})
    with pytest.raises(StoreError, match="symbolic"), own_run(record, tmp_path):
        pass
    assert not target.exists()


def test_a_repository_that_tracks_results_is_refused(checkout: Path) -> None:
    refuse_tracked_state()
    (checkout / ".harness").mkdir()
    (checkout / ".harness/store.sqlite").write_text("forged")
    refuse_tracked_state()  # lies there, but came with nobody
    run_git(checkout, "add", "-f", ".harness")
    with pytest.raises(UsageError, match=r"tracks \.harness/store\.sqlite"):
        refuse_tracked_state()


def test_an_output_that_is_a_link_of_the_checkout_is_refused(checkout: Path) -> None:
    precious = checkout.parent / "precious"
    precious.write_text("x")
    (checkout / "run.json").symlink_to(precious)
    outputs = Outputs({"json": Path("run.json")})
    outputs.check()  # a link of one's own
    run_git(checkout, "add", "-f", "run.json")
    with pytest.raises(UsageError, match=r"--json run\.json: this is a link to .*precious"):
        outputs.check()
    assert precious.read_text() == "x"


@pytest.mark.parametrize("spelling", ["test_it.py::A", "./test_it.py::A", "x/../test_it.py::A"])
def test_a_suite_has_one_spelling(checkout: Path, spelling: str) -> None:
    assert spell_suite(spelling) == "test_it.py::A"
    assert spell_suite(f"{checkout}/{spelling}") == "test_it.py::A"


def test_a_suite_outside_keeps_its_whole_path(checkout: Path) -> None:
    assert spell_suite("../other.py") == str(checkout.parent / "other.py")

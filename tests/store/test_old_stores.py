"""A store and a run.json of the first release (harness 0.1.0, schema 1) are still read."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.build_report import report_run
from harness.core.errors import StoreError
from harness.core.records import RunRecord
from harness.driver.options import read_options
from harness.report.run_json import read_run_json, write_run_json
from harness.report.run_schema import find_problems
from harness.store.open import open_store

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / "schema1.sqlite", tmp_path / "store.sqlite"))


@pytest.fixture
def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / "schema1.run.json").read_text())
    return found


def render(path: Path, run_id: str) -> dict[str, Any]:
    store = open_store(str(path), write=False)
    try:
        stored = store.run(run_id), store.attempts(run_id), store.test_counts(run_id)
    finally:
        store.close()
    document: dict[str, Any] = json.loads(json.dumps(write_run_json(report_run(*stored).report)))
    return document


def figures(document: dict[str, Any]) -> list[Any]:
    """Return every number that a reader of the report sees, to nine digits."""
    document = json.loads(json.dumps(document), parse_float=lambda text: round(float(text), 9))
    cells = [
        {key: cell[key] for key in ("suite", "axes", "attempts", "planned", "passed", "failed",
                                    "infra", "kinds", "rate", "interval", "order", "seconds")}
        for cell in document["cells"]
    ]  # fmt: skip
    sizes = [
        {key: cell["capture"][key] for key in ("pool_bytes", "peak_bytes", "seconds")}
        for cell in document["cells"]
    ]
    tests = [
        {key: test[key] for key in ("id", "passed", "failed", "precluded", "kinds", "interval")}
        for cell in document["cells"]
        for test in cell["tests"]
    ]
    signatures = [
        {key: one[key] for key in ("id", "signature", "kind", "phase", "n")}
        for one in document["signatures"]
    ]
    return [cells, sizes, tests, signatures, document["verdict"]["outcome"]]


def test_a_stored_run_renders_the_figures_that_were_written_then(
    path: Path, written: dict[str, Any]
) -> None:
    assert figures(render(path, written["run"]["id"])) == figures(written)


def test_reading_an_old_store_leaves_the_file_as_it_was(path: Path) -> None:
    before = path.read_bytes()
    render(path, "latest")
    assert path.read_bytes() == before


def test_a_run_json_of_the_first_release_is_still_valid(written: dict[str, Any]) -> None:
    assert find_problems(written) == []
    assert figures(write_run_json(read_run_json(written))) == figures(written)


def test_the_options_of_an_old_run_are_read(path: Path) -> None:
    store = open_store(str(path), write=False)
    options = [read_options(run.options) for run in store.runs()]
    store.close()
    assert [(one.repeats, one.seed, one.isolation) for one in options] == [
        (6, 3, "fork"),
        (12, 7, "fork"),
    ]
    assert {axis.name for axis in options[0].axes} == {"order", "backend", "tp"}


def test_writing_to_an_old_store_migrates_a_copy_and_keeps_the_old_file(
    path: Path, written: dict[str, Any]
) -> None:
    before = path.read_bytes()
    with open_store(str(path), write=True) as store:
        store.add_run(RunRecord("new", 1.0, 7, "cpu", {}, {}, {}))
        assert [run.id for run in store.runs()] == ["new", "06866acb", written["run"]["id"]]
    assert figures(render(path, written["run"]["id"])) == figures(written)
    kept = path.with_name("store.schema1.sqlite")
    assert kept.read_bytes()[100:] == before[100:]


def test_an_old_store_in_use_is_not_migrated(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM run").fetchall()
        with pytest.raises(StoreError, match="in use"):
            open_store(str(path), write=True)
    other.close()

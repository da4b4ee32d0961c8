"""JUnit, CTRF, CSV and Parquet: valid for the tools that read them, whatever tests print."""

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest
import xmlschema
from jsonschema import Draft7Validator

from harness.core.errors import UsageError
from harness.driver.outputs import Outputs
from harness.report.formats.columns import OUTCOME_COLUMNS, list_attempt_columns
from harness.report.formats.registry import FORMATS
from harness.report.formats.text import MESSAGE_LIMIT, make_plain
from harness.report.run_export import RunExport
from tests.report.exports import list_outcomes, make_export, make_outcome

SCHEMAS = Path(__file__).parents[1] / "data" / "schemas"
EXPORT = make_export()


def write(name: str, folder: Path, export: RunExport = EXPORT) -> Path:
    path = folder / f"out.{name}"
    FORMATS[name].write(export, path)
    return path


def read_junit(folder: Path, export: RunExport = EXPORT) -> ET.Element:
    path = write("junit", folder, export)
    xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd")).validate(str(path))
    return ET.parse(path).getroot()


def test_junit_has_a_suite_per_cell_whose_counts_are_those_of_its_cases(tmp_path: Path) -> None:
    suites = read_junit(tmp_path).findall("testsuite")
    assert [suite.get("name") for suite in suites] == [
        "s.py [ascending · tp 1]", "s.py [descending · tp 1]",
    ]  # fmt: skip
    for suite in suites:
        names = ("tests", "failures", "errors", "skipped")
        counts = {name: int(suite.get(name) or 0) for name in names}
        found = [len(suite.findall(f"testcase{inner}"))
                 for inner in ("", "/failure/..", "/error/..", "/skipped/..")]  # fmt: skip
        assert list(counts.values()) == found
    assert [suite.get("failures") for suite in suites] == ["1", "0"]
    assert [suite.get("errors") for suite in suites] == ["0", "1"]


def test_junit_names_cell_order_device_and_seeds(tmp_path: Path) -> None:
    suite = read_junit(tmp_path).find("testsuite")
    assert suite is not None
    values = {one.get("name"): one.get("value") or "" for one in suite.iter("property")}
    assert values["cell.order"] == values["order.observed"] == "ascending"
    assert values["run.seed"] == "7"
    attempt = EXPORT.attempts[0]
    assert f"device cpu:0, seed {attempt.seed}" in " ".join(values.values())


def test_junit_labels_every_repeat(tmp_path: Path) -> None:
    names = [case.get("name") or "" for case in read_junit(tmp_path).iter("testcase")]
    assert {name[-10:] for name in names if name.startswith("test_c")} == {
        f"[repeat {n}]" for n in range(1, 7)
    }


@pytest.mark.parametrize(("recovered", "beside"), [(True, "flakyFailure"), (False, "rerunFailure")])
def test_a_rerun_in_one_process_stands_beside_the_failure(
    tmp_path: Path, recovered: bool, beside: str
) -> None:
    row = EXPORT.attempts[0]
    outcome = make_outcome(row, "test_x", "failed")._replace(reran=True, recovered=recovered)
    export = make_export(outcomes=[outcome])
    (case,) = [c for c in read_junit(tmp_path, export).iter("testcase")
               if (c.get("name") or "").startswith("test_x")]  # fmt: skip
    assert [inner.tag for inner in case] == ["failure", beside]


def test_repeats_alone_are_never_called_flaky(tmp_path: Path) -> None:
    tags = {element.tag for element in read_junit(tmp_path).iter()}
    assert not tags & {"flakyFailure", "rerunFailure", "flakyError", "rerunError"}


def read_ctrf(folder: Path, export: RunExport = EXPORT) -> Any:
    document = json.loads(write("ctrf", folder, export).read_text())
    schema = json.loads((SCHEMAS / "ctrf-0.0.schema.json").read_text())
    errors = [error.message for error in Draft7Validator(schema).iter_errors(document)]
    assert errors == []
    return document["results"]


def test_ctrf_is_valid_and_counts_its_tests(tmp_path: Path) -> None:
    results = read_ctrf(tmp_path)
    summary = results["summary"]
    assert (
        summary["tests"]
        == len(results["tests"])
        == sum(summary[status] for status in ("passed", "failed", "skipped", "pending", "other"))
    )
    assert (summary["failed"], summary["other"]) == (1, 2)
    failed = next(test for test in results["tests"] if test["status"] == "failed")
    assert failed["suite"] == ["s.py", "ascending · tp 1"]
    assert failed["extra"]["order"] == "ascending"
    assert failed["extra"]["seed"] == EXPORT.attempts[0].seed
    assert "flaky" not in failed


def test_csv_has_a_row_per_attempt_and_per_outcome(tmp_path: Path) -> None:
    folder = write("csv", tmp_path)
    with (folder / "attempts.csv").open(newline="") as file:
        attempts = list(csv.DictReader(file))
    with (folder / "outcomes.csv").open(newline="") as file:
        outcomes = list(csv.DictReader(file))
    assert [row["attempt"] for row in attempts] == [row.id for row in EXPORT.attempts]
    assert {row["axis_order"] for row in attempts} == {"ascending", "descending"}
    assert len(outcomes) == sum(len(list_outcomes(row)) for row in EXPORT.attempts)


def test_parquet_holds_the_same_and_says_what_a_column_means(tmp_path: Path) -> None:
    folder = write("parquet", tmp_path)
    attempts = pq.read_table(folder / "attempts.parquet")
    assert attempts.num_rows == len(EXPORT.attempts)
    assert attempts.column("pool_bytes").to_pylist() == [1 << 20] * attempts.num_rows
    field = attempts.schema.field("wall_seconds")
    assert field.metadata[b"meaning"].endswith(b"seconds")
    outcomes = pq.read_table(folder / "outcomes.parquet")
    assert set(outcomes.column("outcome").to_pylist()) == {
        "passed", "failed", "skipped", "precluded",
    }  # fmt: skip


def test_every_column_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/tables.md").read_text()
    columns = [*list_attempt_columns(EXPORT), *OUTCOME_COLUMNS]
    missing = [c.name for c in columns if f"`{c.name}`" not in page and "axis_" not in c.name]
    assert missing == []


def test_a_message_of_a_megabyte_is_cut_in_its_middle() -> None:
    text = make_plain("a" * (1 << 20) + "end")
    assert len(text) < MESSAGE_LIMIT + 100
    assert text.endswith("end")
    assert "characters left out" in text


def test_a_missing_library_is_named_before_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"--parquet needs pyarrow: pip install .*\[parquet\]"):
        Outputs({"parquet": tmp_path / "out"}).check()


@pytest.mark.parametrize("name", FORMATS)
def test_a_path_that_cannot_be_written_is_refused_before_the_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Outputs({name: tmp_path / "no" / "such"}).check()
    (tmp_path / "file").touch()
    wrong = tmp_path / "file" if FORMATS[name].is_folder else tmp_path
    with pytest.raises(UsageError, match="this is a f"):
        Outputs({name: wrong}).check()


def test_one_file_that_fails_does_not_keep_the_others_from_being_written(tmp_path: Path) -> None:
    outputs = Outputs({"ctrf": tmp_path / "no" / "x", "junit": tmp_path / "ok.xml"})
    with pytest.raises(UsageError, match="--ctrf"):
        outputs.write(EXPORT)
    assert (tmp_path / "ok.xml").exists()

"""`run.json` is the typed report written down, and reads back into it."""

from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.report_model import MeasuredRevision, Report, TestRate
from harness.core.capture_measurement import CaptureMeasurement
from harness.report.run_json import read_run_json
from harness.report.run_schema import find_problems
from harness.stats.contrasts import Finding
from harness.stats.intervals import Interval
from harness.stats.rate_gate import RateGate
from tests.report.runs import ASCENDING, DESCENDING, make_report, write_object

RUNS: dict[str, Report] = {
    "clean": make_report({}),
    "failed": make_report({ASCENDING: 2, DESCENDING: 10}),
    "infrastructure": make_report({ASCENDING: 3}, infra={ASCENDING: 2, DESCENDING: 1}),
    "nothing valid": make_report({}, 5, infra={ASCENDING: 5}),
    "interrupted": make_report({DESCENDING: 9}, 20, run_status="interrupted", missing=4),
    "one seed": make_report({ASCENDING: 4}, fixed_seed=True),
    "gate": make_report({ASCENDING: 20}, 60, gate=0.05),
}


def make_full() -> Report:
    """A report in which every kind of value occurs."""
    report = RUNS["failed"]
    test = TestRate("s.py::t", 40, 2, 1, 8, 1, {"hang": 2}, Interval(0.0, 0.2, 0.95, "x"))
    trace = ({"role": "verify", "bs": 4, "pool_bytes": 7},)
    capture = CaptureMeasurement("cuda", "gate", "single", 3, 4, 5.5, {"draft": "fa3"}, trace)
    cell = replace(report.cells[0], tests=(test,), capture=capture)
    revision = MeasuredRevision("aaaa", "main", "a" * 40, "python", "", ("note",))
    run = replace(report.run, revisions=(revision,))
    return replace(report, run=run, cells=(cell, report.cells[1]))


@pytest.mark.parametrize("name", RUNS)
def test_a_report_reads_back_as_it_was_written(name: str) -> None:
    assert read_run_json(write_object(RUNS[name])) == RUNS[name]


def test_every_kind_of_value_reads_back() -> None:
    assert read_run_json(write_object(make_full())) == make_full()


def test_words_read_back_as_the_enums_they_are() -> None:
    report = read_run_json(write_object(RUNS["gate"]))
    assert report.gate
    assert report.gate.state is RateGate.BROKEN
    assert report.contrasts[0].finding is Finding.DIFFERENT


def test_unknown_keys_are_ignored() -> None:
    run = write_object(RUNS["failed"])
    run["new"] = run["run"]["new"] = run["cells"][0]["new"] = {"any": 1}
    assert read_run_json(run) == RUNS["failed"]


def test_an_object_from_before_the_redesign_reads_back() -> None:
    run: Any = write_object(RUNS["failed"])
    for cell in run["cells"]:
        for name in ("graphs", "requested", "observed", "role_backends"):
            del cell["capture"][name]
    for signature in run["signatures"]:
        del signature["example"], signature["message"]
    assert find_problems(run) == []
    report = read_run_json(run)
    assert report.cells == RUNS["failed"].cells
    assert report.signatures[0].example == ""


def test_the_json_has_the_contracts_keys() -> None:
    run = write_object(make_report({DESCENDING: 10}))
    assert run["schema"] == "harness.run/1"
    cell = run["cells"][1]
    assert (cell["attempts"], cell["failed"], cell["kinds"]) == (50, 10, {"wrong-output": 10})
    assert cell["order"] == {"requested": "descending", "observed": "descending"}
    assert run["contrasts"][0]["counts"] == [10, 50, 0, 50]

"""A run that goes on with changed files: each part has rates of its own, in every report."""

import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.analysis.build_report import report_run
from harness.analysis.report_model import Report
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.exits import ExitCode
from harness.core.statuses import RunStatus
from harness.driver.execution import execute
from harness.driver.execution import report_run as report_stored
from harness.driver.outputs import Outputs
from harness.driver.ownership import identify_driver
from harness.driver.queue import list_outstanding
from harness.report.markdown import write_markdown
from harness.report.run_json import read_run_json, write_run_json
from harness.report.run_schema import find_problems
from harness.report.terminal import print_report

from .fake_pool import FakePool, failing, passing
from .workplace import Open, Workplace, interrupt_at_look

CHANGED = "suite s.py 1 is now 2"


def resume_changed(run: Workplace) -> Workplace:
    """Interrupt the run, and go on with a failing version of its suite."""
    pool = FakePool(passing, devices=1)
    pool.before_wait = interrupt_at_look(4, "SIGTERM")
    run.run(pool)
    parts = ({"sha": None, "changed": [CHANGED]},)
    run.store.reopen_run("r", identify_driver(run.context.folder), parts)
    context = replace(run.context, record=replace(run.context.record, parts=parts))
    execute(context, FakePool(failing, devices=1), run.session,
            list_outstanding(context.plan, run.rows, 0))  # fmt: skip
    return run


def make_report(run: Workplace) -> Report:
    judged = report_run(run.record, run.rows, run.store.test_counts("r"))
    assert judged.exit_code is ExitCode.FAILURES
    return judged.report


def test_the_rates_of_two_parts_are_never_pooled(begin: Open) -> None:
    run = resume_changed(begin(10))
    report = make_report(run)
    (earlier,), (cell,) = report.earlier, report.cells
    assert report.run.status is RunStatus.COMPLETE
    assert (cell.failed, cell.passed, cell.part) == (7, 0, 1)
    assert (earlier.part, earlier.changed) == (0, (CHANGED,))
    assert [(one.failed, one.passed) for one in earlier.cells] == [(0, 3)]
    assert {test.failed for test in cell.tests} == {7}
    assert {test.passed for test in earlier.cells[0].tests} == {3}
    # Both were looked at: their sizes were not fixed before the run.
    intervals = [one.interval for one in (cell, *earlier.cells)]
    assert all(one and one.method != "clopper-pearson" for one in intervals)


def test_every_report_shows_both_parts_apart(begin: Open, tmp_path: Path) -> None:
    run = resume_changed(begin(10))
    report = make_report(run)
    out = io.StringIO()
    print_report(report, Console(file=out, width=160))
    files = {name: tmp_path / f"run.{name}" for name in ("json", "html", "junit", "csv")}
    report_stored(run.store, "r", Outputs(files, quiet=True))
    for text in (out.getvalue(), write_markdown(report, 60_000), files["html"].read_text()):
        assert CHANGED in text
        assert "3/10" not in text and "7/10" not in text
        assert "7/7" in text and "0/3" in text
    stored = json.loads(files["json"].read_text())
    assert not find_problems(stored)
    assert read_run_json(stored) == report == read_run_json(write_run_json(report))
    suites = ElementTree.parse(files["junit"]).getroot().findall("testsuite")
    assert [(one.get("tests"), one.get("failures")) for one in suites] == [("3", "0"), ("7", "7")]


def test_an_interrupted_part_owes_only_what_no_part_has_made(begin: Open) -> None:
    run = begin(10)
    pool = FakePool(passing, devices=1)
    pool.before_wait = interrupt_at_look(4, "SIGTERM")
    run.run(pool)
    assert len(run.outstanding()) == 7


def test_a_failure_of_an_earlier_part_is_not_forgotten_by_the_exit_code(begin: Open) -> None:
    def first_fails(spec: AttemptSpec) -> AttemptRecord | str:
        return failing(spec) if spec.attempt_id == "r.0" else passing(spec)

    run = begin(4)
    pool = FakePool(first_fails, devices=1)
    pool.before_wait = interrupt_at_look(3, "SIGTERM")
    run.run(pool)
    parts = ({"sha": None, "changed": [CHANGED]},)
    run.store.reopen_run("r", identify_driver(run.context.folder), parts)
    context = replace(run.context, record=replace(run.context.record, parts=parts))
    queue = list_outstanding(context.plan, run.rows, 0)
    assert execute(context, FakePool(passing, devices=1), run.session, queue) == ExitCode.FAILURES

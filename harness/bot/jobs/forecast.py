"""What a measurement will take, from the last one of the same suites that left a result here.

A forecast holds no right and grants nothing: the result that it is taken from comes from a machine
that ran a pull request's code. If GitHub fails, there is none, and the measurement goes its way.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from harness.analysis.report_model import CellRate, Report
from harness.bot.command.requests import Measure
from harness.bot.github.shapes import WorkflowRun
from harness.bot.github.transport import GithubError
from harness.bot.jobs.request_context import EVENT
from harness.bot.jobs.result import RejectedError, check_origin, fetch_result
from harness.bot.jobs.session import CommandSession
from harness.bot.policy.access import Terms
from harness.bot.wording.forecast import Forecast
from harness.core.revision import AXIS

#: As long as rerun-test.yml keeps a result.
KEPT = timedelta(days=7)
_MOST_RUNS = 8
#: How a workflow run ends whose measurement has a whole result: failures seen fail the job.
_MEASURED = ("success", "failure")
_UNREAD = re.compile(r"never read by the suite: axis ([A-Za-z][\w:-]*(?:, [A-Za-z][\w:-]*)*)")


def find_forecast(
    session: CommandSession, asked: Measure, terms: Terms, suites: Sequence[str]
) -> Forecast | None:
    """Return what is to be expected; None if nothing like it was measured, or could be read."""
    try:
        for run in _list_newest(session):
            report = _read_report(session, run)
            if report and _matches(report, suites, terms):
                found = _compute(report, asked, terms)
                if found:
                    return found
    except GithubError as error:
        sys.stderr.write(f"no forecast: {error}\n")
    return None


def _list_newest(session: CommandSession) -> list[WorkflowRun]:
    since, workflow = datetime.now(UTC) - KEPT, session.environment.workflow
    runs = session.github.list_newest_runs(workflow, EVENT, since)
    ended = [run for run in runs if run.conclusion in _MEASURED]
    return sorted(ended, key=lambda run: run.created_at, reverse=True)[:_MOST_RUNS]


def _read_report(session: CommandSession, run: WorkflowRun) -> Report | None:
    try:
        report = fetch_result(session.github, run.id)
        if report:
            check_origin(report, session.environment.repository, run.id)
    except RejectedError:
        return None
    return report


def _matches(report: Report, suites: Sequence[str], terms: Terms) -> bool:
    device = "cuda" if terms.gpus else "cpu"
    return report.run.device == device and {cell.suite for cell in report.cells} == set(suites)


def _compute(report: Report, asked: Measure, terms: Terms) -> Forecast | None:
    """Scale what was measured to what is asked for. None if it has not all cells asked for."""
    cells = [*_choose_cells(report, asked)]
    made = sum(cell.attempts for cell in report.cells)
    took = (report.run.ended or 0.0) - report.run.created
    if not cells or not made or took <= 0:
        return None
    revisions = 2 if asked.against_base else 1
    attempts = len(cells) * revisions * terms.repeats
    seconds = [cell.seconds * cell.axes.devices for cell in cells]
    return Forecast(
        cells=len(cells) * revisions,
        repeats=terms.repeats,
        seconds=took * attempts / made,
        device_seconds=sum(seconds) * revisions * terms.repeats,
        unread=tuple(sorted({name for cell in cells for name in _list_unread(cell)})),
        workflow_run=int(report.run.ci.run_id) if report.run.ci else 0,
        day=datetime.fromtimestamp(report.run.created, UTC).date(),
    )


def _choose_cells(report: Report, asked: Measure) -> Iterator[CellRate]:
    """Yield the cells that are asked for, one for each whatever was measured at two commits.

    Nothing, if a value that is asked for was not measured.
    """
    tp = (asked.tp,) if asked.tp else ()
    for name, values in (("order", asked.orders), ("backend", asked.backends), ("tp", tp)):
        if values and not {cell.axes.get(name) for cell in report.cells} >= set(values):
            return
    wanted = {"order": asked.orders, "backend": asked.backends, "tp": tp}
    seen = set()
    for cell in report.cells:
        axes = {name: value for name, value in cell.axes.axes if name != AXIS}
        key = (cell.suite, *sorted(map(str, axes.items())))
        if key not in seen and all(not v or axes.get(n) in v for n, v in wanted.items()):
            seen.add(key)
            yield cell


def _list_unread(cell: CellRate) -> Iterator[str]:
    for note in cell.notes:
        if found := _UNREAD.match(note):
            yield from found[1].split(", ")

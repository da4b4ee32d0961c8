"""JUnit XML: a testsuite per cell, a testcase per test and repeat.

Jenkins, GitLab and GitHub's reporters read it. A repeat is a measurement and no retry, hence
`flakyFailure` and `rerunFailure` stand only for reruns inside one process, and always beside the
`failure` that they would otherwise hide.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from harness.analysis.report_model import CellRate, Report
from harness.core.records import AttemptRow, TestOutcome
from harness.core.result import Outcome
from harness.core.statuses import AttemptStatus
from harness.report.formats.entries import Entry, list_entries
from harness.report.formats.text import make_plain, take_first_line
from harness.report.run_export import RunExport, label_part, label_repeat

#: What an attribute in double quotes cannot hold, beside what `escape` replaces.
_ATTRIBUTE = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
_NOT_REACHED = "not reached: the process had died or was unusable"
_CENSORED = "killed in flight when the run was interrupted: the outcome is unknown"


def write(export: RunExport, path: Path) -> None:
    """Write the run as JUnit XML."""
    cases: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    totals: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for entry in list_entries(export):
        key = entry.attempt.suite, entry.attempt.cell, entry.attempt.part
        cases[key].append(_write_case(entry))
        totals[key][entry.outcome.outcome] += 1
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write(f"<testsuites name={_quote(f'harness run {export.report.run.id}')}>\n")
        for cell in export.report.all_cells:
            key = cell.suite, cell.axes.key, cell.part
            file.write(_open_suite(cell, export.report, totals[key], cases[key]))
            file.writelines(_write_properties(cell, export))
            file.writelines(cases[key])
            file.write("</testsuite>\n")
        file.write("</testsuites>\n")


def _open_suite(cell: CellRate, report: Report, totals: Counter[str], cases: list[str]) -> str:
    began = datetime.fromtimestamp(report.run.created, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    skipped = totals[Outcome.SKIPPED] + totals[Outcome.PRECLUDED] + totals[AttemptStatus.CENSORED]
    name = f"{cell.suite} [{cell.axes.label}]" + label_part(cell, report)
    return (
        f"<testsuite name={_quote(name)} tests={_quote(len(cases))} "
        f"failures={_quote(totals[Outcome.FAILED])} errors={_quote(totals[AttemptStatus.INFRA])} "
        f"skipped={_quote(skipped)} timestamp={_quote(began)}>\n"
    )


def _write_properties(cell: CellRate, export: RunExport) -> Iterator[str]:
    """Yield the cell, its order and the run's seed, then device and seed of each repeat."""
    run = export.report.run
    values: dict[str, object] = {
        "run": run.id,
        "run.seed": run.seed,
        "device": run.device,
        "graphs": run.graphs or "none",
        "order.requested": cell.order.requested,
        "order.observed": cell.order.observed,
        **{f"cell.{name}": value for name, value in cell.axes.axes},
    }
    for attempt in export.attempts:
        if (attempt.suite, attempt.cell) == (cell.suite, cell.axes.key):
            values[label_repeat(attempt)] = _describe_attempt(attempt)
    yield "<properties>\n"
    for name, value in values.items():
        yield f"<property name={_quote(name)} value={_quote(value)}/>\n"
    yield "</properties>\n"


def _describe_attempt(attempt: AttemptRow) -> str:
    devices = "+".join(attempt.devices)
    return f"{attempt.id} {attempt.status.value}, device {devices}, seed {attempt.seed}"


def _write_case(entry: Entry) -> str:
    outcome, label = entry.outcome, label_repeat(entry.attempt)
    head = f'{_open_case(outcome.test)} [{label}]" time="{max(outcome.seconds, 0):.3f}"'
    inside = _write_ending(outcome)
    return f"{head}>{inside}</testcase>\n" if inside else f"{head}/>\n"


@lru_cache(maxsize=4096)
def _open_case(test: str) -> str:
    """Return a testcase up to the end of the test's name, which its repeat follows."""
    file, _, name = make_plain(test).partition("::")
    return f'<testcase classname={quoteattr(file)} name="{escape(name or file, _ATTRIBUTE)}'


def _write_ending(outcome: TestOutcome) -> str:
    match outcome.outcome:
        case Outcome.FAILED:
            return _write_message("failure", outcome) + _write_rerun(outcome)
        case Outcome.SKIPPED:
            return "<skipped/>"
        case Outcome.PRECLUDED:
            return f"<skipped message={_quote(_NOT_REACHED)}/>"
        case AttemptStatus.CENSORED:
            return f"<skipped message={_quote(_CENSORED)}/>"
        case AttemptStatus.INFRA:
            return _write_message("error", outcome)
    return ""


def _write_rerun(outcome: TestOutcome) -> str:
    if not outcome.reran:
        return ""
    return _write_message("flakyFailure" if outcome.recovered else "rerunFailure", outcome)


def _write_message(element: str, outcome: TestOutcome) -> str:
    message = outcome.message or outcome.signature or ""
    kind = outcome.kind or "infrastructure"
    first = take_first_line(message)
    return (
        f"<{element} type={_quote(kind)} message={_quote(first)}>"
        f"{escape(make_plain(message))}</{element}>"
    )


def _quote(value: object) -> str:
    return quoteattr(make_plain(str(value)))

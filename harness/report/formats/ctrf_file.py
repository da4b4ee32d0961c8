"""CTRF (Common Test Report Format, ctrf.io): one JSON entry per test and repeat."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.core.records import AttemptRow
from harness.core.result import Outcome
from harness.core.statuses import AttemptStatus
from harness.report.formats.entries import Entry, list_entries
from harness.report.formats.text import make_plain
from harness.report.run_export import RunExport, get_axes, label_repeat

SPEC_VERSION = "0.0.0"
_STATUS = {
    Outcome.PASSED.value: "passed",
    Outcome.FAILED.value: "failed",
    Outcome.SKIPPED.value: "skipped",
    Outcome.PRECLUDED.value: "other",
    AttemptStatus.INFRA.value: "other",
    AttemptStatus.CENSORED.value: "other",
}


def write(export: RunExport, path: Path) -> None:
    """Write the run as CTRF, one test a line."""
    run = export.report.run
    counts = Counter[str]()
    with path.open("w", encoding="utf-8") as file:
        file.write('{"reportFormat": "CTRF", ')
        file.write(f'"specVersion": "{SPEC_VERSION}", "generatedBy": "harness", "results": {{\n')
        tool = {"name": "harness", "version": metadata.version("capture-harness")}
        file.write(f'"tool": {json.dumps(tool)},\n"tests": [')
        for number, test in enumerate(_write_tests(export)):
            counts[test["status"]] += 1
            file.write((",\n" if number else "\n") + json.dumps(test))
        file.write(f'],\n"summary": {json.dumps(_summarise(export, counts))},\n')
        about = {"run": run.id, "seed": run.seed, "device": run.device}
        environment: dict[str, Any] = {"extra": about} | ({"commit": run.sha} if run.sha else {})
        file.write(f'"environment": {json.dumps(environment)}\n}}}}\n')


def _summarise(export: RunExport, counts: Counter[str]) -> dict[str, int]:
    run = export.report.run
    ended = [a.started + a.wall_seconds for a in export.attempts]
    stop = run.ended or max(ended, default=run.created)
    statuses = ("passed", "failed", "skipped", "pending", "other")
    return {
        "tests": counts.total(),
        **{status: counts[status] for status in statuses},
        "suites": len(export.report.cells),
        "start": _to_milliseconds(run.created),
        "stop": _to_milliseconds(stop),
    }


def _write_tests(export: RunExport) -> Iterator[dict[str, Any]]:
    shared = {attempt.id: _describe_attempt(attempt) for attempt in export.attempts}
    ids: dict[tuple[str, str], str] = {}
    for entry in list_entries(export):
        test, cell = entry.outcome.test, entry.attempt.cell
        if (test, cell) not in ids:
            ids[test, cell] = str(uuid.uuid5(uuid.NAMESPACE_URL, make_plain(f"{test}\n{cell}")))
        yield _write_test(entry, shared[entry.attempt.id], ids[test, cell])


def _describe_attempt(attempt: AttemptRow) -> dict[str, Any]:
    axes = {make_plain(k): v for k, v in get_axes(attempt).axes}
    return {
        "attempt": attempt.id,
        "repeat": attempt.repeat + 1,
        "device": "+".join(attempt.devices),
        "seed": attempt.seed,
        "order": attempt.capture.observed,
        "cell": axes,
    }


def _write_test(entry: Entry, shared: dict[str, Any], test_id: str) -> dict[str, Any]:
    outcome, attempt = entry.outcome, entry.attempt
    file, _, name = make_plain(outcome.test).partition("::")
    label = make_plain(get_axes(attempt).label)
    test: dict[str, Any] = {
        "id": test_id,
        "name": f"{name or file} [{label_repeat(attempt)}]",
        "status": _STATUS[outcome.outcome],
        "rawStatus": outcome.outcome,
        "duration": _to_milliseconds(max(outcome.seconds, 0)),
        "suite": [make_plain(attempt.suite), label or "-"],
        "filePath": file,
        "extra": {**shared, "kind": outcome.kind, "phase": outcome.phase},
    }
    if outcome.message:
        test["message"] = make_plain(outcome.message)
    if outcome.reran:
        # CTRF calls a test flaky only if it passed in the end; here it has failed.
        test["extra"] |= {"reran": True, "recovered": outcome.recovered}
    return test


def _to_milliseconds(seconds: float) -> int:
    return round(1000 * seconds)

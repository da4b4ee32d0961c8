"""CTRF (Common Test Report Format, ctrf.io): one JSON entry per test and repeat."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic_core import to_json

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
            file.write((",\n" if number else "\n") + to_json(test).decode())
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
        "suites": len(export.report.all_cells),
        "start": _to_milliseconds(run.created),
        "stop": _to_milliseconds(stop),
    }


def _write_tests(export: RunExport) -> Iterator[dict[str, Any]]:
    shared = {attempt.id: _describe_attempt(attempt) for attempt in export.attempts}
    for entry in list_entries(export):
        yield _write_test(entry, *shared[entry.attempt.id])


def _describe_attempt(attempt: AttemptRow) -> tuple[str, list[str], dict[str, Any]]:
    """Return an attempt's label, its suite and cell, and what its tests have in common."""
    extra = {
        "attempt": attempt.id,
        "device": "+".join(attempt.devices),
        "seed": attempt.seed,
        "order": attempt.capture.observed,
    }
    cell = make_plain(get_axes(attempt).label)
    return label_repeat(attempt), [make_plain(attempt.suite), cell or "-"], extra


def _write_test(
    entry: Entry, label: str, suite: list[str], extra: dict[str, Any]
) -> dict[str, Any]:
    outcome = entry.outcome
    test_id, file, name = _name_test(outcome.test, entry.attempt.cell)
    test: dict[str, Any] = {
        "id": test_id,
        "name": f"{name} [{label}]",
        "status": _STATUS[outcome.outcome],
        "rawStatus": outcome.outcome,
        "duration": _to_milliseconds(max(outcome.seconds, 0)),
        "suite": suite,
        "filePath": file,
        "extra": extra,
    }
    if outcome.kind:
        test["extra"] = {**extra, "kind": outcome.kind, "phase": outcome.phase}
    if outcome.message:
        test["message"] = make_plain(outcome.message)
    if outcome.reran:
        # CTRF calls a test flaky only if it passed in the end; here it has failed.
        test["extra"] = {**test["extra"], "reran": True, "recovered": outcome.recovered}
    return test


@lru_cache(maxsize=65_536)
def _name_test(test: str, cell: str) -> tuple[str, str, str]:
    """Return a stable id of a test in a cell, its file and its name."""
    plain = make_plain(test)
    file, _, name = plain.partition("::")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{plain}\n{cell}")), file, name or file


def _to_milliseconds(seconds: float) -> int:
    return round(1000 * seconds)

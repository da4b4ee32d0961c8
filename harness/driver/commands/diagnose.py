"""`harness diagnose`: a failing cell again, with one thing changed at a time."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.core.cell import parse_cell_key
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus
from harness.driver.diagnosis_lines import print_outcome, print_start
from harness.driver.examining import examine, shorten_timeout
from harness.driver.experiments import open_laboratory
from harness.driver.options import RunOptions, read_options
from harness.driver.state import locate_store
from harness.driver.trials import FailingCell
from harness.store.open import open_store


def diagnose(run: str, test: str | None, path: Path | None, location: str | None) -> int:
    """Explain a run's failing cell by experiments. Return the exit code.

    0: one class was named; 3: none fits, or the unchanged cell never failed again.
    """
    failing = find_failing(run, test, location)
    options = replace(failing.options, suites=(failing.suite,))
    console = Console()
    print_start(console, failing)
    with open_laboratory(options, location) as laboratory:
        outcome = examine(failing, laboratory)
    if path is not None:
        path.write_text(json.dumps(outcome.as_dict(), indent=1) + "\n", encoding="utf-8")
    print_outcome(console, outcome)
    base = outcome.trials[0]
    named = outcome.diagnosis.named and base.tally.failed
    return ExitCode.OK if named else ExitCode.UNDECIDED


def find_failing(run: str, test: str | None, location: str | None) -> FailingCell:
    """Return the cell of a stored run in which most attempts failed. Raise UsageError if none."""
    store = open_store(location or locate_store(of_revisions=False), write=False)
    try:
        record = store.run(run)
        rows = store.attempts(record.id)
    finally:
        store.close()
    passed = [row for row in rows if row.status is not AttemptStatus.FAILED]
    failed = [row for row in rows if row.status is AttemptStatus.FAILED]
    asked = passed + [row for row in failed if not test or test in (row.failed_test or row.suite)]
    failing = choose_failing(read_options(record.options), record.device, asked)
    if failing is None:
        raise UsageError(f"run {record.id} has no failed attempt{f' of {test}' if test else ''}")
    return failing


def choose_failing(
    options: RunOptions, device: str, rows: Sequence[AttemptRow]
) -> FailingCell | None:
    """Return the cell that most failed attempts are of; None if none failed."""
    failed = [row for row in rows if row.status is AttemptStatus.FAILED]
    if not failed:
        return None
    places = [(row.suite, row.cell) for row in failed]
    suite, key = max(dict.fromkeys(places), key=places.count)
    own = [row for row in failed if (row.suite, row.cell) == (suite, key)]
    kinds = [str(row.kind) for row in own]
    kind = max(dict.fromkeys(kinds), key=kinds.count)
    timeout_s = shorten_timeout(options.timeout_s, rows, kind)
    options = replace(options, until=None, max_flake_rate=None, warmup=0, timeout_s=timeout_s)
    return FailingCell(suite, parse_cell_key(key), kind, options, device, own[0].id)

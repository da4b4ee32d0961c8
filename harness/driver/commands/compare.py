"""`harness compare RUN_A RUN_B`: did the rate change from A to B, and what else did."""

from collections.abc import Iterator
from itertools import chain

from rich.console import Console

from harness.analysis.comparison_report import mark_attempts, report_comparison
from harness.analysis.history import collect_series
from harness.analysis.run_comparison import History, RunComparison, compare_runs
from harness.analysis.run_counts import RunCounts, count_run
from harness.core.records import TestOutcome
from harness.driver.outputs import Outputs
from harness.driver.stores import open_known_stores
from harness.report.run_export import RunExport
from harness.report.terminal import print_report
from harness.store.group import StoreGroup

#: So many other runs of the store say how runs vary.
_NEWEST = 50


def print_comparison(base: str, head: str, location: str | None, outputs: Outputs) -> int:
    """Print whether `head` fails less or more often than `base`, and write the files.

    Return the exit code.
    """
    outputs.check()
    with open_known_stores(location) as stores:
        runs = _count(stores, base), _count(stores, head)
        history = _read_history(stores, {counts.run.id for counts in runs})
        found = compare_runs(*runs, history)
        export = _make_export(stores, found)
        print_report(export.report, Console(), quiet=outputs.quiet)
        outputs.write(export)
    return found.exit_code


def _read_history(stores: StoreGroup, compared: set[str]) -> History:
    """Return the tallies of the newest other runs in the stores."""
    others = [found for found in stores.list_runs() if found[1].id not in compared][:_NEWEST]
    series = collect_series((record, store.attempts(record.id), []) for store, record in others)
    return {f"{s.name} · {s.cell}": [point.tally for point in s.points] for s in series}


def _count(stores: StoreGroup, name: str) -> RunCounts:
    store, run = stores.find_run(name)
    return count_run(run, store.attempts(run.id), store.test_counts(run.id))


def _make_export(stores: StoreGroup, found: RunComparison) -> RunExport:
    runs = found.base, found.head

    def read_outcomes() -> Iterator[TestOutcome]:
        held = [stores.find_run(counts.run.id) for counts in runs]
        return chain.from_iterable(store.test_outcomes(run.id) for store, run in held)

    return RunExport(
        report=report_comparison(found),
        attempts=[row for counts in runs for row in mark_attempts(counts)],
        read_outcomes=read_outcomes,
        command=f"harness compare {found.base.run.id} {found.head.run.id}",
    )

"""`harness prune`: remove old evidence, then logs, and stored rows last."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.core.errors import NoStoreError, StoreError, UsageError
from harness.core.evidence import FOLDER
from harness.core.exits import ExitCode
from harness.core.pruning import Layer, Removal, RunSize, choose_removals, read_age, read_size
from harness.core.records import RunRecord
from harness.driver.context import RUNS, find_run_folder
from harness.driver.ownership import has_driver
from harness.driver.state import list_state_folders
from harness.driver.stores import open_known_stores
from harness.report.attempt_view import format_size
from harness.report.terminal import print_line
from harness.store.open import open_store
from harness.store.store import Store

_NAMES = {Layer.EVIDENCE: "evidence", Layer.FILES: "logs and events", Layer.ROWS: "stored rows"}
_LISTED = 20


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """What is to go: by age in seconds, by total size in bytes."""

    older_than_s: float | None
    max_bytes: int | None
    dry_run: bool

    @classmethod
    def read(cls, older_than: str | None, max_size: str | None, *, dry_run: bool) -> "PruneRequest":
        """Return the request of the command line. Raise UsageError for what is wrong in it."""
        if older_than is None and max_size is None:
            raise UsageError("say what may go: --older-than 30d, --max-size 20G, or both")
        age = None if older_than is None else read_age(older_than)
        return cls(age, None if max_size is None else read_size(max_size), dry_run)


@dataclass(frozen=True, slots=True)
class _Found:
    """An ended run: its folder, and its store's place; none of a folder that no store knows."""

    size: RunSize
    folder: Path
    store: str | None


def prune_runs(request: PruneRequest, location: str | None) -> int:
    """Remove what the request allows, and say what. Return the exit code."""
    console = Console()
    found = _find_runs(location)
    runs = {run_id: one for run_id, one in found if one is not None}
    removals = choose_removals(
        [one.size for one in runs.values()], time.time(), request.older_than_s, request.max_bytes
    )
    total = sum(sum(one.size.sizes) for one in runs.values())
    left_alone = len(found) - len(runs)
    failures = [] if request.dry_run else list(_remove_all(removals, runs))
    _print_removals(console, removals, total, request)
    if left_alone:
        print_line(console, f"left alone: {left_alone} runs that go on")
    for failure in failures:
        print_line(console, failure, "yellow")
    return ExitCode.STORE if failures else ExitCode.OK


def _find_runs(location: str | None) -> list[tuple[str, _Found | None]]:
    """Return the runs of every store, and folders of runs that none knows.

    A store that cannot be read raises StoreError: without it, folders of its runs would look as if
    nobody knew them. Only where there is no store at all, there is none that could.
    """
    known: list[tuple[str, _Found | None]] = []
    try:
        with open_known_stores(location) as stores:
            known = [found for store in stores.stores for found in _list_runs(store, location)]
    except NoStoreError:
        if location is not None:
            raise
    return [*known, *_list_unknown({run_id for run_id, _ in known}, location)]


def _list_runs(store: Store, location: str | None) -> Iterator[tuple[str, _Found | None]]:
    """Yield the runs of a store; None for one that goes on."""
    records, counts = store.runs(), store.count_attempts()
    size = store.path.stat().st_size if store.path else 0
    total = sum(sum(by_status.values()) for by_status in counts.values())
    where = str(store.path) if store.path else location
    for record in records:
        folder = find_run_folder(record)
        if has_driver(folder):
            yield record.id, None
            continue
        n = sum(counts.get(record.id, {}).values())
        rows = size * n // total if total else 0
        yield record.id, _Found(_measure(record.id, _find_end(record), folder, rows), folder, where)


def _find_end(record: RunRecord) -> float:
    return record.ended if record.ended is not None else record.created


def _list_unknown(known: set[str], location: str | None) -> Iterator[tuple[str, _Found | None]]:
    """Yield folders of runs that no store knows, as a deleted store leaves them."""
    if location is not None:
        return  # other stores may know them
    for state in list_state_folders():
        for folder in sorted((state / RUNS).glob("*")):
            if folder.name in known or folder.is_symlink() or not folder.is_dir():
                continue
            if has_driver(folder):
                yield folder.name, None
                continue
            size = _measure(folder.name, folder.stat().st_mtime, folder, 0)
            yield folder.name, _Found(size, folder, None)


def _measure(run_id: str, ended: float, folder: Path, rows: int) -> RunSize:
    evidence = files = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_symlink() or not path.is_file():
                continue
            if path.parent.name == FOLDER:
                evidence += path.stat().st_size
            else:
                files += path.stat().st_size
    return RunSize(run_id, ended, (evidence, files, rows))


def _remove_all(removals: Sequence[Removal], runs: dict[str, _Found]) -> Iterator[str]:
    """Remove the parts in order. Yield what could not be removed."""
    for removal in removals:
        found = runs[removal.run_id]
        try:
            if removal.layer is Layer.ROWS:
                _remove_rows(found)
            else:
                _remove_files(found.folder, removal.layer)
        except (OSError, StoreError) as error:
            yield f"{_NAMES[removal.layer]} of {removal.run_id} could not be removed: {error}"


def _remove_files(folder: Path, layer: Layer) -> None:
    if folder.is_symlink() or not folder.is_dir():
        return
    if layer is Layer.EVIDENCE:
        for path in folder.glob(f"*/{FOLDER}"):
            if not path.is_symlink():
                shutil.rmtree(path)
    else:
        shutil.rmtree(folder)


def _remove_rows(found: _Found) -> None:
    if found.store is not None:
        with open_store(found.store, write=True) as store:
            store.delete_run(found.size.run_id)


def _print_removals(
    console: Console, removals: Sequence[Removal], total: int, request: PruneRequest
) -> None:
    verb = "would remove" if request.dry_run else "removed"
    told = [removal for removal in removals if removal.size]
    for removal in told[:_LISTED]:
        size = format_size(removal.size)
        print_line(console, f"{verb} {_NAMES[removal.layer]} of {removal.run_id}: {size}")
    if len(told) > _LISTED:
        print_line(console, f"and {len(told) - _LISTED} more parts")
    gone = sum(removal.size for removal in removals)
    text = f"{verb} {format_size(gone)} of {format_size(total)}"
    print_line(console, text if removals else f"nothing to remove of {format_size(total)}", "bold")

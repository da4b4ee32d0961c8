"""`harness watch`: a run that goes on, seen from another terminal.

It reads the store and the event files of the attempts under way, and writes to neither.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live

from harness.attempt.launch import DEVICES_FILE
from harness.core.events import Event
from harness.core.exits import ExitCode
from harness.core.plan import plan_from_dict
from harness.core.records import AttemptRow
from harness.core.statuses import RunStatus
from harness.driver.context import find_run_folder
from harness.driver.live_state import LiveState, estimate_seconds_left
from harness.driver.ownership import describe_status, is_abandoned
from harness.driver.stores import open_known_stores
from harness.report.live import LiveRun, describe_event, describe_live, render_live
from harness.store.store import Store

#: Seconds between looks, and between the lines of a log.
_LOOK_S = 1.0
_LOG_EVERY_S = 30.0
#: Bytes of an event file that are read, from its end.
_TAIL = 16_384
#: An event file that nobody wrote to for so long belongs to an attempt that was left behind.
_STALE_S = 3600.0


def watch_run(name: str, location: str | None) -> int:
    """Show a run until it ends. Return the exit code."""
    with open_known_stores(location) as stores:
        store, run = stores.find_run(name)
        console = Console()
        if console.is_terminal:
            _draw(store, run.id, console)
        else:
            _log(store, run.id)
    return ExitCode.OK


def _draw(store: Store, run_id: str, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        for run in _look(store, run_id, _LOOK_S):
            live.update(render_live(run), refresh=True)


def _log(store: Store, run_id: str) -> None:
    for run in _look(store, run_id, _LOG_EVERY_S):
        sys.stdout.write(f"{describe_live(run)}, {run.status}\n")
        sys.stdout.flush()


def _look(store: Store, run_id: str, every: float) -> Iterator[LiveRun]:
    """Yield the run as often as wanted, the last time when it has ended."""
    while True:
        run = read_live_run(store, run_id, time.time())
        yield run
        if run.status != RunStatus.RUNNING:
            return  # it has ended, or its driver is gone
        time.sleep(every)


def read_live_run(store: Store, run_id: str, now: float) -> LiveRun:
    """Return the run as the store and the files of its attempts show it."""
    record, rows = store.run(run_id), store.attempts(run_id)
    state = LiveState(run_id, plan_from_dict(record.plan))
    for row in rows:
        if not row.is_owed:
            state.end(row.id, row.status, _describe_failure(row))
    if record.status is RunStatus.RUNNING and not is_abandoned(record):
        known = {row.id for row in (*rows, *store.attempts(run_id, warmup=True))}
        folder = find_run_folder(record)
        for attempt_id, started, doing in _list_under_way(folder, known, now):
            if state.knows(attempt_id):
                state.act(attempt_id, started, doing)
                state.devices[attempt_id] = read_devices(folder / attempt_id)
    left = len(state.queue) - len({row.position for row in rows if not row.is_owed})
    running = record.status is RunStatus.RUNNING
    begun = [row.started for row in rows]
    seconds = estimate_seconds_left(begun, now, left) if running else None
    return state.show(describe_status(record), now, seconds)


def _describe_failure(row: AttemptRow) -> str | None:
    return f"{row.kind}: {row.signature or row.message}" if row.kind else None


def _list_under_way(
    folder: Path, known: set[str], now: float
) -> Iterator[tuple[str, float, str | None]]:
    """Yield the attempts that have an event file and are not stored: id, start, last deed."""
    for path in sorted(folder.glob("*/events.jsonl")):
        attempt_id = path.parent.name
        try:
            is_new = attempt_id not in known and now - path.stat().st_mtime < _STALE_S
            events = list(read_events(path)) if is_new else []
        except OSError:
            continue  # the attempt has just been cleared away
        if is_new:
            started = min((float(event["t"]) for event in events if "t" in event), default=now)
            deeds = [text for event in events if (text := describe_event(event))]
            yield attempt_id, started, deeds[-1] if deeds else None


def read_devices(folder: Path) -> tuple[str, ...]:
    """Return the ids of an attempt's devices; none if its file is not there or damaged."""
    try:
        found = json.loads((folder / DEVICES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def read_events(path: Path) -> Iterator[Event]:
    """Yield rank 0's last events; a line that is cut or garbled is left out. Raise OSError."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        lines = file.read().splitlines()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("rank") == 0 and "event" in event:
            yield event

"""Figures of a run's attempts on the GPUs of one host: rates, idle time, waits, skew, ends."""

import itertools
import json
import re
import statistics
from pathlib import Path

from harness.core.records import AttemptRow
from harness.store.open import open_store


def read_rows(out: Path, name: str) -> list[AttemptRow]:
    """Return the attempts of a run that came to an end, in the order in which they began."""
    store = open_store(str(out / f"{name}.sqlite"), write=False)
    rows = [row for row in store.attempts(store.run("latest").id) if row.wall_seconds]
    return sorted(rows, key=lambda row: row.started)


def take_late(rows: list[AttemptRow]) -> list[AttemptRow]:
    """Return the second half of a run."""
    return rows[len(rows) // 2 :]


def get_end(row: AttemptRow) -> float:
    """Return when an attempt ended."""
    return row.started + row.wall_seconds


def compute_rate(rows: list[AttemptRow]) -> float:
    """Return the attempts per minute of the second half, after the zygotes have learned."""
    ends = sorted(map(get_end, rows))[len(rows) // 2 :]
    return 60 * (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 else 0.0


def compute_idle(rows: list[AttemptRow]) -> float:
    """Return the share of device time without an attempt, from first start to the last one's."""
    if len(rows) < 2:
        return float("nan")
    devices = {device for row in rows for device in row.devices}
    begin, end = rows[0].started, rows[-1].started
    busy = sum((min(get_end(row), end) - row.started) * len(row.devices) for row in rows)
    return 1 - busy / ((end - begin) * len(devices))


def find_waits(rows: list[AttemptRow]) -> dict[int, float]:
    """Return for each gang size the longest time that an attempt was the next to be leased."""
    queue = sorted(rows, key=lambda row: row.position)
    waits: dict[int, float] = {}
    for before, row in itertools.pairwise(queue):
        size = len(row.devices)
        waits[size] = max(waits.get(size, 0.0), round(row.started - before.started, 2))
    return waits


def measure_skew(rows: list[AttemptRow]) -> dict[str, float]:
    """Return the time between the first and the last rank's begin of the same capture, in ms."""
    skews: list[float] = []
    for row in rows:
        begins: dict[tuple[int, str, int], list[float]] = {}
        engine = dict.fromkeys(range(len(row.devices)), 0)
        for event in map(json.loads, (Path(row.folder) / "events.jsonl").read_text().splitlines()):
            if event["event"] == "capture":
                key = (engine[event["rank"]], event["role"], event["bs"])
                begins.setdefault(key, []).append(event["t"] - event["seconds"])
            elif event["event"] == "captured":
                engine[event["rank"]] += 1
        skews += [1e3 * (max(t) - min(t)) for t in begins.values() if len(t) > 1]
    if not skews:
        return {}
    worst = max(skews)
    return {"graphs": len(skews), "median_ms": statistics.median(skews), "worst_ms": worst}


def measure_ends(rows: list[AttemptRow]) -> list[float]:
    """Return for each attempt with a kill the seconds from the kill until all was gone."""
    seconds = []
    for row in rows:
        folder = Path(row.folder)
        log = folder / "rank0.log"
        said = log.read_text(errors="replace") if log.exists() else ""
        found = re.search(r"killing rank 1, process \d+, at (\d+\.\d+)", said)
        if found and (folder / "trace.json").exists():
            # Written as soon as no process of the attempt is left.
            gone = (folder / "trace.json").stat().st_mtime
            seconds.append(round(gone - float(found[1]), 2))
    return seconds


def find_gaps(rows: list[AttemptRow]) -> list[float]:
    """Return the longest times that a device stood idle between two attempts, longest first."""
    last: dict[str, float] = {}
    gaps = []
    for row in rows:
        gaps += [row.started - last[device] for device in row.devices if device in last]
        last |= dict.fromkeys(row.devices, get_end(row))
    return [round(gap, 2) for gap in sorted(gaps, reverse=True)[:4]]

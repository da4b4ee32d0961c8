"""The start-up hook's side of an attempt: what begins it in every Python process, and its files.

`harness/hook/` is what runs in those processes. Each of them writes a file of its own into a
temporary folder, since ranks behind a boundary cannot write into the attempt's.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.attempt.spec import AttemptSpec
from harness.core.events import Event, parse_line, read_number
from harness.core.progress_lines import find_progress
from harness.hook.registry import ORDER_PARTS

#: Holds `sitecustomize.py`, and nothing else that could be imported.
START_FOLDER = Path(__file__).resolve().parents[1] / "hook" / "start"

VARIABLE = "HARNESS_HOOK"
_READ = "HARNESS_OVERLAID"

#: In the temporary folder of an attempt, and then in its own.
FOLDER = "hook"

# An attempt may start thousands of processes; what it observes stays bounded all the same.
_MOST_FILES = 512
_MOST_BYTES = 32 << 20
_MOST_STEPS = 10_000


def make_hook_environment(
    spec: AttemptSpec, folder: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables that begin the hook, or none if no part is asked for.

    environment: what the rank has without them. Its own HARNESS_HOOK adds parts.
    """
    given = [*spec.hook, *environment.get(VARIABLE, "").split(",")]
    wanted = [part for part in dict.fromkeys(given) if part]
    parts = list(dict.fromkeys(_complete(part, spec) for part in wanted))
    if not parts:
        return {}
    inherited = environment.get("PYTHONPATH", "").split(os.pathsep)
    path = [str(START_FOLDER), *(one for one in inherited if one and one != str(START_FOLDER))]
    # Whoever has turned the order has read it: no note that the axis made no difference.
    read = [environment.get(_READ, ""), *["order"] * (parts != wanted)]
    return {
        VARIABLE: ",".join(parts),
        **({_READ: ",".join(filter(None, read))} if any(read) else {}),
        "HARNESS_HOOK_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(path),
    }


def _complete(part: str, spec: AttemptSpec) -> str:
    """Return a part that turns capture orders with the cell's order, unless it names one."""
    order = spec.axes.get("order")
    return f"{part}:{order}" if part in ORDER_PARTS and order is not None else part


def describe_parts(environment: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a line that says which parts were asked for, if it was more than the report."""
    parts = [part for part in environment.get(VARIABLE, "").split(",") if part]
    if parts not in ([], ["report"]):
        event = {"event": "hook_parts", "t": time.time(), "parts": parts}
        yield json.dumps(event).encode()


def read_progress(log: Path) -> Iterator[bytes]:
    """Yield a line for each capture that an engine printed to a log. An unreadable log has none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for step in find_progress(text)[:_MOST_STEPS]:
        event = {"event": "hook_progress", "t": time.time(), "role": step.role, "bs": step.bs}
        yield json.dumps(event).encode()


def describe_unobserved(reasons: Sequence[str]) -> str:
    """Return the note on Python processes in which the hook cannot have begun."""
    first = reasons[0]
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"captures of a Python process would not be seen: {first}{more}"


def collect_observed(folder: Path, kept: Path) -> Iterator[bytes]:
    """Move what processes wrote into the attempt's folder, and yield its lines by time.

    Nothing is believed: files that are no plain files are left, and so is what exceeds the limits.
    """
    lines: list[tuple[float, bytes]] = []
    left = _MOST_BYTES
    for path in sorted(folder.glob("*.jsonl"))[:_MOST_FILES]:
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            data = file.read(left)
        left -= len(data)
        kept.mkdir(exist_ok=True)
        (kept / path.name).write_bytes(data)
        lines += [(_read_time(line), line) for line in data.splitlines()]
    shutil.rmtree(folder, ignore_errors=True)
    yield from (line for _, line in sorted(lines, key=lambda one: one[0]))


def parse_observed(line: bytes) -> tuple[int, Event] | None:
    """Return the rank and the event of a line; None if it is none that the hook writes."""
    event = parse_line(line)
    if event is None or not event["event"].startswith("hook_"):
        return None
    return int(read_number(event, "rank")), event


def _read_time(line: bytes) -> float:
    event = parse_line(line)
    return read_number(event, "t") if event else 0.0

"""Events in: lines from processes that may be broken or hostile, in bounded memory."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from harness.attempt.observing import parse_observed
from harness.attempt.spec import AttemptRecord
from harness.core.events import MAX_LINE_BYTES, Event, parse_line

_READ_BYTES = 1 << 16
# One attempt's events stay in memory and travel to the driver: beyond this they only count.
_MAX_EVENT_BYTES = 64 << 20
# What an event costs beyond its text, or a flood of empty lines would be free.
_EVENT_OVERHEAD = 512
_MAX_GARBLED_TEXT = 4096

OnEvent = Callable[[int, Event], None]


class LineReader:
    """Splits what a descriptor gives into lines; an overlong one comes out once, cut."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.open = True
        self._buffer = b""
        self._skipping = False

    def read(self) -> list[bytes] | None:
        """The lines of one read; None where nothing has arrived."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return None
        if not data:
            self.open = False
            return None
        *lines, rest = (self._buffer + data).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if len(rest) > MAX_LINE_BYTES:
            if not self._skipping:
                lines.append(rest)
            self._skipping = True
        self._buffer = b"" if self._skipping else rest
        return lines

    def rest(self) -> bytes:
        """A last line without an end, of a process killed while writing."""
        rest, self._buffer = self._buffer, b""
        return rest


class Recorder:
    """Takes lines into the record, into events.jsonl and to `on_event`."""

    def __init__(self, folder: Path, record: AttemptRecord, on_event: OnEvent) -> None:
        self.finished = False
        """Rank 0 came to its end."""
        self._folder = folder
        self._record = record
        self._on_event = on_event
        self._budget = _MAX_EVENT_BYTES
        self._file: IO[str] = (folder / "events.jsonl").open("w", encoding="utf-8", buffering=1)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def take(self, rank: int, line: bytes) -> None:
        """One line of that rank."""
        self._budget -= len(line) + _EVENT_OVERHEAD
        event = parse_line(line)
        if event is None or self._budget < 0:
            self._count_garbled(rank, line)
            return
        self.finished |= rank == 0 and event["event"] == "finish"
        self._keep(rank, event)

    def take_observed(self, lines: Iterable[bytes]) -> None:
        """What the start-up hook wrote in any process of the attempt, once all have ended."""
        for line in lines:
            self._budget -= len(line) + _EVENT_OVERHEAD
            observed = parse_observed(line)
            if observed is None or self._budget < 0:
                self._count_garbled(0, line)
            else:
                self._keep(*observed)

    def write_trace(self) -> None:
        """trace.json: the capture events alone, in order."""
        names = ("capture", "hook_capture")
        captures = [event for _, event in self._record.events if event["event"] in names]
        (self._folder / "trace.json").write_text(json.dumps(captures))

    def _keep(self, rank: int, event: Event) -> None:
        event["rank"] = rank
        self._record.events.append((rank, event))
        self._write(event)
        self._on_event(rank, event)

    def _count_garbled(self, rank: int, line: bytes) -> None:
        self._record.garbled += 1
        if self._budget >= 0:
            text = line[:_MAX_GARBLED_TEXT].decode(errors="replace")
            self._write({"event": "garbled", "rank": rank, "text": text})

    def _write(self, event: Event) -> None:
        self._file.write(json.dumps(event) + "\n")

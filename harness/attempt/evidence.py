"""The evidence of one failing attempt: a folder of limited size, with an index.

What it holds was taken from outside the attempt, or written by it into files that are read without
trust. Whatever cannot be collected is listed with the reason, and the rest goes on.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.attempt.caches import has_passed
from harness.attempt.captures import Captures, choose_spans
from harness.attempt.spec import AttemptRecord
from harness.attempt.witness import Sighting
from harness.core.evidence import (
    FOLDER,
    INDEX,
    EvidenceIndex,
    EvidenceItem,
    NotDone,
    list_words,
)
from harness.core.last_words import AttemptWords

#: What the folder of one attempt may hold, and one copied stream in it.
MOST_BYTES = 16 << 20
STREAM_BYTES = 1 << 20


class EvidenceFolder:
    """Collects items up to a limit. `close` writes the index."""

    def __init__(self, attempt: Path, limit: int = MOST_BYTES) -> None:
        self.path = attempt / FOLDER
        self._left = limit
        self._items: list[EvidenceItem] = []
        self._not_done: list[NotDone] = []

    def add(self, name: str, what: str, data: bytes) -> None:
        """Write one file, if there is room for it."""
        if len(data) > self._left:
            self.miss(what, f"{len(data)} bytes, and {self._left} are left of the folder's limit")
            return
        try:
            self.path.mkdir(exist_ok=True)
            (self.path / name).write_bytes(data)
        except OSError as error:
            self.miss(what, f"it cannot be written: {error.strerror}")
            return
        self._left -= len(data)
        self._items.append(EvidenceItem(name, what, len(data)))

    def add_json(self, name: str, what: str, value: Any) -> None:
        """Write one value."""
        self.add(name, what, json.dumps(value, indent=1).encode())

    def miss(self, what: str, why: str) -> None:
        """List what was not collected."""
        self._not_done.append(NotDone(what, why))

    def close(self) -> EvidenceIndex:
        """Write the index, and return it."""
        index = EvidenceIndex(tuple(self._items), tuple(self._not_done))
        with suppress(OSError):  # the items' own failures are in the index that is returned
            self.path.mkdir(exist_ok=True)
            (self.path / INDEX).write_text(index.write(), encoding="utf-8")
        return index


def needs_evidence(record: AttemptRecord) -> bool:
    """Return whether anything failed, a test that recovered in a rerun included."""
    bad = ("failed", "rerun")
    return not has_passed(record) or any(event.get("outcome") in bad for _, event in record.events)


def collect_evidence(
    folder: EvidenceFolder, captures: Captures, words: AttemptWords, sighting: Sighting | None
) -> EvidenceIndex:
    """Fill the folder with all that is known of the attempt's end."""
    folder.add_json("last-words.json", "lines that name a cause, by process", list_words(words))
    if words.collectives:
        what = "the ranks' last collectives, by torch's flight recorder"
        folder.add("collectives.txt", what, "\n".join(words.collectives).encode())
    for name in captures.list_names():
        _copy_stream(folder, captures, name)
    if sighting is not None:
        _add_sighting(folder, sighting)
    return folder.close()


def _copy_stream(folder: EvidenceFolder, captures: Captures, name: str) -> None:
    fd = captures.open_file(name)
    if fd is None:
        return
    what = "what a failed test had printed" if name.startswith("test") else "what pytest held"
    try:
        folder.add(f"{name}.txt", what, b"".join(_read_ends(fd)))
    except OSError as error:
        folder.miss(what, str(error))
    finally:
        os.close(fd)


def _read_ends(fd: int) -> Iterator[bytes]:
    size = os.fstat(fd).st_size
    spans = choose_spans(size, STREAM_BYTES)
    for number, (start, end) in enumerate(spans):
        if number:
            yield f"\n[harness: {start - spans[0][1]} bytes left out]\n".encode()
        yield os.pread(fd, end - start, start)


def _add_sighting(folder: EvidenceFolder, sighting: Sighting) -> None:
    when = "when the time was up" if sighting.hang else "when the first rank died"
    if sighting.processes:
        folder.add("processes.txt", f"processes of the attempt {when}", sighting.processes.encode())
    if sighting.stacks:
        folder.add("stacks.txt", "stacks of every process, by py-spy", sighting.stacks.encode())
    if sighting.device:
        when = when if sighting.processes else "after the attempt"
        folder.add_json("gpu.json", f"NVML's state of the devices {when}", sighting.device)
    for what, why in sighting.not_done:
        folder.miss(what, why)

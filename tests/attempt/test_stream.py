"""Reading events: any chunks, any bytes, in bounded memory."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.attempt import stream
from harness.attempt.spec import AttemptRecord
from harness.attempt.stream import LineReader, Recorder
from harness.core.events import MAX_LINE_BYTES, Event


@pytest.fixture
def pipe() -> Iterator[tuple[LineReader, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield LineReader(reader), writer
    os.close(reader)
    os.close(writer)


def collect(reader: LineReader) -> list[bytes]:
    lines: list[bytes] = []
    while (more := reader.read()) is not None:
        lines += more
    return lines


@given(chunks=st.lists(st.binary(max_size=40) | st.just(b"\n"), max_size=20))
def test_lines_do_not_depend_on_how_they_were_cut(chunks: list[bytes]) -> None:
    source, writer = os.pipe()
    reader = LineReader(source)
    lines: list[bytes] = []
    for chunk in filter(None, chunks):
        os.write(writer, chunk)
        lines += reader.read() or []
    os.close(writer)
    assert reader.read() is None and not reader.open
    os.close(source)
    assert [*lines, reader.rest()] == b"".join(chunks).split(b"\n")


def test_an_overlong_line_comes_once_and_the_next_is_whole(pipe: tuple[LineReader, int]) -> None:
    reader, writer = pipe
    lines: list[bytes] = []
    for _ in range(MAX_LINE_BYTES // (1 << 15) + 4):
        os.write(writer, b"x" * (1 << 15))
        lines += collect(reader)
    os.write(writer, b'\n{"event": "note"}\n')
    lines += collect(reader)
    assert len(lines) == 2 and len(lines[0]) > MAX_LINE_BYTES
    assert lines[1] == b'{"event": "note"}'


@pytest.fixture
def record() -> AttemptRecord:
    return AttemptRecord(keeper_id="k", started=0.0)


def test_events_go_to_the_record_the_file_and_the_callback(
    tmp_path: Path, record: AttemptRecord
) -> None:
    seen: list[tuple[int, Event]] = []
    with Recorder(tmp_path, record, lambda rank, event: seen.append((rank, event))) as recorder:
        recorder.take(1, b'{"event": "capture", "bs": 4, "rank": 0}')
        recorder.take(1, b'{"event": "finish"}')
        assert not recorder.finished, "only rank 0 finishes"
        recorder.take(0, b'{"event": "finish"}')
        recorder.write_trace()
    assert recorder.finished and seen == record.events
    assert record.events[0] == (1, {"event": "capture", "bs": 4, "rank": 1})
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "trace.json").read_text()) == [record.events[0][1]]


@pytest.mark.parametrize("line", [b"", b'{"event": "note"}'])
def test_a_flood_of_lines_is_counted_and_not_kept(
    tmp_path: Path, record: AttemptRecord, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_MAX_EVENT_BYTES", 10_000)
    with Recorder(tmp_path, record, lambda *_: None) as recorder:
        for _ in range(1000):
            recorder.take(0, line)
    assert len(record.events) + record.garbled == 1000 and record.garbled > 900
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) < 20

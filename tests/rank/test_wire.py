"""Writing the wire: whatever it is given, one bounded JSON line or nothing, and never an error."""

import json
import os
import threading
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from harness.core.events import MAX_LINE_BYTES, parse_line
from harness.rank import wire


class Pipe:
    """A wire with its reader. What is written must fit the pipe, unless a thread reads."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def events(self) -> list[dict[str, Any]]:
        data = os.read(self.reader, 1 << 20)
        return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    wire.configure(made.writer)
    yield made
    wire.configure(None)
    os.close(made.reader)
    os.close(made.writer)


def test_an_event_has_its_name_and_time_before_its_keys(pipe: Pipe) -> None:
    wire.emit("phase", name="run")
    (event,) = pipe.events()
    assert list(event) == ["event", "t", "name"] and event["name"] == "run"


class Size(IntEnum):
    FOUR = 4


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def loop() -> list[object]:
    inner: list[object] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (Size.FOUR, 4),
        ((1, 2), [1, 2]),
        ({3: Path("/x")}, {"3": "/x"}),
        ("é\ud800", "é\ud800"),
        (Rude(), "<Rude whose text raised RuntimeError>"),
        ("x" * 20_000, "x" * wire.MAX_TEXT),
    ],
)
def test_a_value_crosses_as_json_or_as_bounded_text(
    pipe: Pipe, value: object, expected: object
) -> None:
    wire.emit("note", value=value)
    assert pipe.events()[0]["value"] == expected


def test_a_value_that_holds_itself_ends_somewhere(pipe: Pipe) -> None:
    wire.emit("note", value=loop())
    assert pipe.events()[0]["event"] == "note"


def test_an_event_too_long_for_a_line_becomes_a_note(pipe: Pipe) -> None:
    wire.emit("capture", addresses={str(n): "x" * 8000 for n in range(200)})
    (event,) = pipe.events()
    assert event["event"] == "note" and "capture" in event["text"]


def test_lines_of_many_threads_do_not_mix(pipe: Pipe) -> None:
    def write(name: str) -> None:
        for _ in range(20):
            wire.emit("note", text=name * 6000)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    data = b""
    while data.count(b"\n") < 80:
        data += os.read(pipe.reader, 1 << 16)
    for thread in threads:
        thread.join()
    assert all(len(set(json.loads(line)["text"])) == 1 for line in data.splitlines())
    assert all(len(line) < MAX_LINE_BYTES and parse_line(line) for line in data.splitlines())


def test_a_reader_that_is_gone_breaks_no_test() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    wire.configure(writer)
    wire.emit("note", text="into the void")
    os.close(writer)
    wire.emit("note", text="into nothing")
    wire.configure(None)


def test_the_environment_names_the_descriptor_and_only_a_pipe_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pipe: Pipe
) -> None:
    data = tmp_path / "data"
    with data.open("wb") as file:
        for text in (str(file.fileno()), "", "none", "99999"):
            monkeypatch.setenv("HARNESS_EVENTS_FD", text)
            wire.configure(None)
            wire.emit("note", text="not into my data")
    assert data.read_bytes() == b""
    monkeypatch.setenv("HARNESS_EVENTS_FD", str(pipe.writer))
    wire.configure(None)
    wire.emit("note", text="hello")
    assert pipe.events()[0]["text"] == "hello"


def test_a_fork_while_another_thread_writes_can_still_write(pipe: Pipe) -> None:
    with wire._sink.lock:
        pid = os.fork()
        if pid == 0:
            wire.emit("note", text="from the child")
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert pipe.events()[0]["text"] == "from the child"

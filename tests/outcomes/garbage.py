"""Writes to the events' descriptor what no event is."""

import os


def write(data: bytes) -> None:
    fd = int(os.environ["HARNESS_EVENTS_FD"])
    while data:
        data = data[os.write(fd, data) :]


def test_writes_garbage() -> None:
    write(b'not json\n[1, 2]\n{"event": 3}\n\xff\xfe\n')


def test_writes_one_endless_line() -> None:
    write(b"x" * (3 << 20) + b"\n")


def test_claims_another_rank() -> None:
    write(b'{"event": "note", "rank": 7, "text": "me"}\n')

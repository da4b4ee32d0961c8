"""A rank's log: whole if it is short, else its head, its tail, and the lines that name a cause."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.attempt import logs
from harness.attempt.logs import LogReader


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_BYTES", "TAIL_BYTES"):
        monkeypatch.setattr(logs, name, 1000)
    monkeypatch.setattr(logs, "CAUSE_BYTES", 200)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def write_log(pipe: tuple[int, int], path: Path, portions: list[bytes]) -> bytes:
    with LogReader(pipe[0], path) as log:
        for portion in portions:
            os.write(pipe[1], portion)
            while log.read():
                pass
    return path.read_bytes()


def test_a_short_log_is_kept_as_it_is(pipe: tuple[int, int], tmp_path: Path) -> None:
    portions = [b"one\n" * 100, b"two\n" * 100]
    assert write_log(pipe, tmp_path / "log", portions) == b"".join(portions)


def test_the_head_is_in_the_file_while_the_rank_still_runs(
    pipe: tuple[int, int], tmp_path: Path
) -> None:
    with LogReader(pipe[0], tmp_path / "log") as log:
        os.write(pipe[1], b"early\n")
        log.read()
        assert (tmp_path / "log").read_bytes() == b"early\n"


def test_a_long_log_keeps_its_ends_and_its_causes(pipe: tuple[int, int], tmp_path: Path) -> None:
    noise = [b"noise\n" * 20] * 40
    cause = b"RuntimeError: CUDA error: misaligned address\n"
    portions = [b"begin\n", *noise, cause, *noise, b"end\n"]
    kept = write_log(pipe, tmp_path / "log", portions)
    assert kept.startswith(b"begin\n") and kept.endswith(b"end\n")
    assert kept.count(cause) == 1 and b"left out" in kept
    assert len(kept) < 2600


def test_evidence_has_a_limit_of_its_own(pipe: tuple[int, int], tmp_path: Path) -> None:
    portions = [b"ValueError: again\n" * 20] * 100
    assert len(write_log(pipe, tmp_path / "log", portions)) < 3000


def test_a_pipe_that_is_closed_ends_the_log(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with LogReader(reader, tmp_path / "log") as log:
        os.close(writer)
        assert not log.read() and not log.open
    os.close(reader)

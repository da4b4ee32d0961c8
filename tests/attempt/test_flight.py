"""The flight recorders of a hang: the missing rank is named, and a pickle can run nothing."""

import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.attempt import flight
from harness.attempt.captures import Captures
from harness.attempt.flight import (
    load_plainly,
    make_flight_environment,
    read_records,
    request_records,
)
from harness.core.flight import describe_collectives, read_record

#: Two all-reduces of one rank, written by gloo's recorder: NCCL's is the same template.
RECORD = Path(__file__).parent / "data" / "flight-record-torch-2.13.pickle"


def make_entry(number: int, name: str = "nccl:all_reduce", **more: Any) -> dict[str, Any]:
    frames = [{"name": "step", "filename": "/repo/engine.py", "line": 7}]
    return {
        "process_group": ("0", "default_pg"), "collective_seq_id": number, "is_p2p": False,
        "profiling_name": name, "input_sizes": [[64]], "state": "scheduled", "frames": frames,
        **more,
    }  # fmt: skip


def make_record(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"version": "2.9", "entries": list(entries)}


@pytest.fixture
def captures(tmp_path: Path) -> Iterator[Captures]:
    made = Captures(tmp_path / "words")
    yield made
    made.close()


def test_the_rank_that_has_not_entered_the_collective_is_named(captures: Captures) -> None:
    for rank, last in enumerate((7, 6, 7)):
        record = make_record(*(make_entry(number) for number in range(1, last + 1)))
        (captures.folder / f"flight-rank-{rank}").write_bytes(pickle.dumps(record))
    lines = describe_collectives(read_records(captures))
    assert lines[0] == (
        "rank 1 has not entered collective 7 (nccl:all_reduce), in which rank 0, rank 2 wait"
    )
    assert lines[2].startswith("rank 1: collective 6") and "step (engine.py:7)" in lines[2]


def test_ranks_in_different_collectives_are_said() -> None:
    records = {
        0: read_record(make_record(make_entry(3))),
        1: read_record(make_record(make_entry(3, "nccl:broadcast"))),
    }
    assert "different collectives as number 3" in describe_collectives(records)[0]
    assert describe_collectives({}) == []


def test_a_record_that_names_a_function_is_not_read(captures: Captures, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "pwned"),)

    (captures.folder / "flight-rank-0").write_bytes(pickle.dumps(Attack()))
    (captures.folder / "flight-rank-1").write_bytes(b"\x80\x04garbage")
    assert read_records(captures) == {}
    assert not (tmp_path / "pwned").exists()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        value = load_plainly(data)
    except ValueError:
        return
    read_record(value)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from([*make_entry(1), "entries", "name"]), inner)
        ),
    )
)
def test_no_value_breaks_the_description(value: object) -> None:
    describe_collectives({0: read_record(value), 1: read_record({"entries": [value]})})


def test_a_recorder_that_listens_is_asked(captures: Captures) -> None:
    pipe = captures.folder / "flight-pipe-0.pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)

    def answer() -> None:
        os.read(reader, 8)
        (captures.folder / "flight-rank-0").write_bytes(pickle.dumps(make_record(make_entry(1))))

    thread = threading.Thread(target=answer)
    thread.start()
    assert request_records(captures) == []
    thread.join()
    os.close(reader)
    assert list(read_records(captures)) == [0]


def test_why_no_recorder_answered_is_said(
    captures: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight, "_WAIT_SECONDS", 0.1)
    assert "had a flight recorder" in request_records(captures)[0]
    pipe = captures.folder / "flight-pipe-3.pipe"
    os.mkfifo(pipe)
    assert "listens any more" in request_records(captures)[0]
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    (silent,) = request_records(captures)
    os.close(reader)
    assert "rank 3 did not answer" in silent


def test_a_record_of_torch_itself_is_read() -> None:
    (last,) = read_record(load_plainly(RECORD.read_bytes()))
    assert (last.group, last.number, last.name) == ("0 default_pg", 2, "gloo:all_reduce")
    assert (last.sizes, last.where) == ("[[64]]", "step (engine.py:5)")


def test_a_rank_that_entered_nothing_of_a_group_is_missing() -> None:
    groups = {"7": {"name": "7", "desc": "pair", "ranks": "[0, 1]"}}
    entry = make_entry(1, process_group=("7", "pair"))
    records = {
        0: read_record({**make_record(entry), "pg_config": groups}),
        1: read_record({"pg_config": groups}),
    }
    assert describe_collectives(records)[0].startswith("rank 1 has not entered collective 1")


def test_the_group_in_which_a_rank_is_missing_comes_first() -> None:
    other = make_entry(4, process_group=("1", "other"))
    records = {
        0: read_record(make_record(other, make_entry(3))),
        1: read_record(make_record(other, make_entry(2))),
    }
    lines = describe_collectives(records)
    assert lines[0].startswith("rank 1 has not entered collective 3")
    assert "of group 0 default_pg" in lines[0] and lines[3].startswith("all ranks")


def test_a_place_that_the_user_has_chosen_stays(captures: Captures) -> None:
    assert make_flight_environment(captures, {"TORCH_NCCL_DUMP_ON_TIMEOUT": "0"}) == {}
    found = make_flight_environment(captures, {})
    assert found["TORCH_FR_DUMP_TEMP_FILE"] == f"{captures.folder}/flight-rank-"


def test_torch_makes_its_pipe_only_where_the_recorders_size_is_set(captures: Captures) -> None:
    assert make_flight_environment(captures, {})["TORCH_NCCL_TRACE_BUFFER_SIZE"] == "2000"
    off = make_flight_environment(captures, {"TORCH_NCCL_TRACE_BUFFER_SIZE": "0"})
    assert "TORCH_FR_BUFFER_SIZE" not in off

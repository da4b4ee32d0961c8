"""What is kept of a failing attempt: bounded, listed, and whatever is missing is said."""

import errno
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.attempt import witness
from harness.attempt.evidence import EvidenceFolder, needs_evidence
from harness.attempt.spec import AttemptRecord
from harness.core.evidence import FOLDER, EvidenceIndex, EvidenceItem, NotDone, read_index
from harness.core.stacks import describe_ranks, read_py_spy
from harness.report.evidence_folder import read_folder

Run = Callable[..., AttemptRecord]


def read_item(attempt: Path, name: str) -> str:
    return (attempt / FOLDER / name).read_text()


def test_a_hang_leaves_the_stacks_of_its_processes(run: Run, tmp_path: Path) -> None:
    run("last_words.py::test_hangs", timeout_s=1.0)
    index = read_folder(tmp_path / "attempt")
    assert {item.name for item in index.items} >= {"last-words.json", "processes.txt"}
    if witness.find_py_spy():
        assert "wait_for_a_peer" in read_item(tmp_path / "attempt", "stacks.txt")
    else:
        assert [one.what for one in index.not_done] == ["stacks from outside"]


def test_a_machine_without_py_spy_lists_the_stacks_as_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(witness, "find_py_spy", lambda: None)
    seen = witness.Witness(keeper=0)
    seen.look(hang=True)
    assert seen.sighting and [what for what, _ in seen.sighting.not_done] == ["stacks from outside"]


def test_the_devices_are_asked_once_at_the_first_sign_of_trouble() -> None:
    asked: list[int] = []

    def read_devices() -> dict[str, Any]:
        asked.append(1)
        return {"gpus": []}

    seen = witness.Witness(keeper=0)
    seen.read_devices = read_devices
    seen.look(hang=False)
    seen.look(hang=True)
    assert len(asked) == 1 and seen.sighting and not seen.sighting.hang


def test_an_attempt_that_passes_leaves_no_evidence(run: Run, tmp_path: Path) -> None:
    record = run("passes.py")
    assert not needs_evidence(record)
    assert not (tmp_path / "attempt" / FOLDER).exists()
    assert read_folder(tmp_path / "attempt") == EvidenceIndex()


def test_a_test_that_recovered_in_a_rerun_leaves_evidence(run: Run, tmp_path: Path) -> None:
    assert needs_evidence(run("reruns.py"))
    assert read_folder(tmp_path / "attempt").items


def test_the_folder_has_a_limit_and_lists_what_did_not_fit(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path, limit=100)
    folder.add("a.txt", "first", b"x" * 80)
    folder.add("b.txt", "second", b"x" * 30)
    folder.add("c.txt", "third", b"x" * 20)
    index = folder.close()
    assert [item.name for item in index.items] == ["a.txt", "c.txt"]
    assert [one.what for one in index.not_done] == ["second"]
    assert read_folder(tmp_path) == index


def test_a_full_disk_costs_the_item_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = EvidenceFolder(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    folder.add("a.txt", "first", b"x")
    assert folder.close().not_done == (
        NotDone("first", "it cannot be written: No space left on device"),
    )


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["items", "not_done", "name", "what", "size", "why"]), inner
    ),
))  # fmt: skip
def test_no_index_breaks_its_reader(value: object) -> None:
    index = read_index(json.dumps(value))
    assert all(isinstance(item, EvidenceItem) for item in index.items)


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    read_index(text)
    read_py_spy(text)


SPY = """Process 5: python x.py
Python v3.11.7 (/usr/bin/python3.11)

Thread 9 (active): "worker"
    accept (/usr/lib/python3.11/socket.py:294)
Thread 5 (idle): "MainThread"
    wait (/usr/lib/python3.11/threading.py:327)
    {function} (/repo/engine.py:{line})
"""


def test_the_rank_that_is_elsewhere_is_named() -> None:
    waiting = read_py_spy(SPY.format(function="all_reduce", line=7))
    other = read_py_spy(SPY.format(function="load_page", line=9))
    lines = describe_ranks({0: waiting, 1: other, 2: waiting})
    assert lines[0] == "rank 1 is not where the others wait"
    assert lines[2] == "rank 1: in load_page (engine.py:9)"
    assert describe_ranks({0: waiting}) == []
    assert "did not answer" in describe_ranks({0: waiting, 1: waiting, 2: None})[-1]


def test_processes_of_an_attempt_are_seen_from_outside() -> None:
    child = subprocess.Popen(["sleep", "30"])
    seen = witness.Witness(keeper=os.getpid())
    seen.rank_pids = (child.pid,)
    seen.look(hang=False)
    child.kill()
    child.wait()
    assert seen.sighting
    (line,) = [one for one in seen.sighting.processes.splitlines() if f"{child.pid} " in one]
    assert "rank 0" in line and line.endswith("sleep 30")


def test_the_devices_of_a_failed_test_are_asked_after_the_attempt() -> None:
    seen = witness.Witness(keeper=0)
    seen.read_devices = lambda: {"gpus": ["GPU-1"]}
    seen.look_afterwards()
    assert seen.sighting and seen.sighting.device == {"gpus": ["GPU-1"]}
    assert not seen.sighting.processes

"""The cause of a death is in its one-line signature, wherever a process had written it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.captures import Captures, choose_spans
from harness.attempt.oom_kills import count_oom_kills
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.cause_rules import Strength
from harness.core.fold import fold
from harness.core.kinds import Kind, KindScope
from harness.core.last_words import AttemptWords, Cause, Words
from harness.core.result import Ending, Failure
from harness.driver.attempts import make_ending

Run = Callable[..., AttemptRecord]
MakeSpec = Callable[..., AttemptSpec]

KERNEL = "FusedAddRMSNorm failed with error code operation not supported"
#: Each test of tests/outcomes/last_words.py: the kind, what the signature says, and its end.
DEATHS = {
    "is_killed_by_its_parent": (Kind.SIGNAL, KERNEL, "SIGKILL @"),
    "segfaults_in_c": (Kind.SIGNAL, "in string_at", "SIGSEGV in"),
    "aborts_from_a_cuda_assert": (Kind.SIGNAL, "index < sizes[i]` failed", "SIGABRT @"),
    "waits_for_a_child_that_leaves": (Kind.ASSERTION, "no such checkpoint", "AssertionError @"),
    "starts_a_child_with_a_traceback": (Kind.ASSERTION, "ValueError: page table too short", "@"),
    "meets_a_memory_limit": (Kind.ERROR, "MemoryError", "CalledProcessError @"),
    "hangs": (Kind.HANG, "in wait_for_a_peer", "hang in"),
    "overflows_its_stack": (Kind.SIGNAL, "in nest, which calls itself", "SIGSEGV in"),
    "loses_a_thread_and_waits_for_it": (Kind.HANG, "LookupError: no page is free", "hang @"),
    "fails_at_exit": (Kind.EARLY_EXIT, "OSError: log of the arena is gone", "@ teardown"),
    "has_a_grandchild_that_speaks": (Kind.ERROR, "driver: cannot map the arena", "@"),
    "prints_megabytes_after_the_cause": (Kind.EARLY_EXIT, KERNEL, "exit 1 @"),
    "hangs_and_protests_when_it_is_ended": (Kind.HANG, "in wait_for_a_peer", "hang in"),
    "logs_its_cause_and_leaves": (Kind.EARLY_EXIT, "scheduler: no page is free", "exit 1 @"),
    "leaves_by_itself": (Kind.EARLY_EXIT, "in give_up", "exit 4 in"),
}


@pytest.fixture
def fail(run: Run, make_spec: MakeSpec) -> Callable[..., Failure]:
    def fail_once(nodeid: str, **changes: Any) -> Failure:
        record = run(nodeid, **changes)
        failure = fold(record.events, make_ending(record, make_spec(nodeid, **changes))).failure
        assert failure is not None
        return failure

    return fail_once


@pytest.mark.parametrize("death", DEATHS)
def test_the_signature_names_the_cause_of_a_death(fail: Callable[..., Failure], death: str) -> None:
    kind, cause, end = DEATHS[death]
    timeout = 1.0 if kind is Kind.HANG else 30.0
    failure = fail(f"last_words.py::test_{death}", timeout_s=timeout)
    assert failure.kind is kind
    assert cause in failure.signature and end in failure.signature
    assert "\n" not in failure.signature and len(failure.signature) <= 240


def test_who_sent_a_signal_is_said_if_it_is_known(fail: Callable[..., Failure]) -> None:
    failure = fail("last_words.py::test_is_killed_by_its_parent")
    assert "sent by the process itself in kill_process_tree" in failure.message


NCCL = "Process group watchdog thread terminated with exception: CUDA error: "


@pytest.mark.parametrize(
    ("signal", "strength", "line", "kind"),
    [
        ("SIGABRT", Strength.DEVICE, NCCL + "device-side assert triggered", Kind.DEVICE_ASSERT),
        ("SIGABRT", Strength.DEVICE, NCCL + "an illegal memory access", Kind.ILLEGAL_ACCESS),
        ("SIGABRT", Strength.DEVICE, NCCL + "misaligned address", Kind.CUDA_ERROR),
        ("SIGABRT", Strength.DEVICE_ASSERTION, "Assertion `i < n` failed.", Kind.DEVICE_ASSERT),
        ("SIGABRT", Strength.EXCEPTION, "what(): bad rank", Kind.SIGNAL),
        ("SIGSEGV", Strength.DEVICE, NCCL + "misaligned address", Kind.SIGNAL),
    ],
)
def test_a_process_that_aborts_itself_over_an_error_of_cuda_has_that_errors_kind(
    signal: str, strength: Strength, line: str, kind: Kind
) -> None:
    words = AttemptWords(logs={0: Words(causes=(Cause(strength, line),))})
    running = [(0, {"event": "test_start", "id": "t.py::test_a"})]
    failure = fold(running, Ending(exits=((0, None, signal),), words=words)).failure
    assert failure and failure.kind is kind
    on_cpu = Ending(exits=((0, None, signal),), words=words, scope=KindScope(graphs=False))
    failure = fold(running, on_cpu).failure
    assert failure and failure.kind is Kind.SIGNAL


def test_a_kill_for_memory_is_out_of_memory() -> None:
    killed = Ending(exits=((0, None, "SIGKILL"),), words=AttemptWords(oom_kills=1))
    failure = fold([(0, {"event": "test_start", "id": "t.py::test_a"})], killed).failure
    assert failure and failure.kind is Kind.OUT_OF_MEMORY
    assert failure.signature == "the kernel killed a process for memory (SIGKILL @ test_a)"


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/job/1", "cgroup/job/1/memory.events"),
        ("4:memory:/job/1", "cgroup/memory/job/1/memory.oom_control"),
        ("3:cpu:/", "proc/vmstat"),
    ],
)
def test_kills_for_memory_are_counted(tmp_path: Path, line: str, file: str) -> None:
    for path, text in (("proc/self/cgroup", line), (file, "low 7\noom_kill 2\n")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert count_oom_kills(tmp_path / "cgroup", tmp_path / "proc") == 2


def make_record(*names: str) -> AttemptRecord:
    events = [(0, {"event": "report", "output": name}) for name in names]
    return AttemptRecord(keeper_id="k", started=0.0, events=[*events])


def test_captures_that_are_no_plain_files_are_left_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("RuntimeError: of somebody else\n")
    captures = Captures(tmp_path / "words")
    (captures.folder / "capture-1").symlink_to(secret)
    os.mkfifo(captures.folder / "capture-2")
    (captures.folder / "capture-3").mkdir()
    (captures.folder / "test-1").symlink_to(secret)
    words = captures.read_words(make_record("test-1", "../secret", "test-9"), None, 0)
    assert words.captured == () and words.tests == {}
    captures.close()


def test_a_folder_that_is_replaced_is_not_read(tmp_path: Path) -> None:
    captures = Captures(tmp_path / "words")
    captures.folder.rename(tmp_path / "away")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "capture-1").write_text("RuntimeError: planted\n")
    assert captures.read_words(make_record(), None, 0).captured == ()
    captures.close()


def test_what_is_read_of_captures_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.attempt.captures.MOST_BYTES", 1 << 20)
    captures = Captures(tmp_path / "words")
    with (captures.folder / "capture-1").open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it all would take hours
        file.seek(-40, os.SEEK_END)
        file.write(b"\nRuntimeError: at the end of a terabyte\n")
    (found,) = captures.read_words(make_record(), None, 0).captured
    assert found.size <= 1 << 20
    assert found.causes[0].line == "RuntimeError: at the end of a terabyte"
    captures.close()


def test_of_a_large_file_the_head_and_the_tail_are_read() -> None:
    assert choose_spans(10, 10) == [(0, 10)]
    assert choose_spans(100, 10) == [(0, 5), (95, 100)]
    assert choose_spans(100, 0) == [(0, 0), (100, 100)]


def test_a_test_that_passes_leaves_no_capture(run: Run, tmp_path: Path) -> None:
    record = run("passes.py")
    assert record.words.captured == () and record.words.tests == {}
    kept = [path for path in (tmp_path / "attempt").rglob("*") if stat.S_ISREG(path.stat().st_mode)]
    assert not [path for path in kept if "capture" in path.name]
    assert json.loads((tmp_path / "attempt" / "trace.json").read_text()) == []

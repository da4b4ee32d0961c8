"""Twelve ways to die. Each says its cause somewhere else than in its last line."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

CAUSE = "FusedAddRMSNorm failed with error code operation not supported on shared address space"
NOISE = "tokens per second 123.4, batch 17, queue 3\n" * 100


def run_child(code: str, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=False).returncode


def test_is_killed_by_its_parent() -> None:
    code = f"import sys; sys.stderr.write('RuntimeError: {CAUSE}\\n')"
    assert run_child(code) == 0
    kill_process_tree(os.getpid())


def kill_process_tree(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_segfaults_in_c() -> None:
    read_beyond_the_table()


def read_beyond_the_table() -> None:
    ctypes.string_at(0)


def test_aborts_from_a_cuda_assert() -> None:
    os.write(
        2,
        b"/src/IndexKernel.cu:92: operator(): block: [3,0,0], thread: [17,0,0] Assertion "
        b"`-sizes[i] <= index && index < sizes[i]` failed.\n"
        b"terminate called after throwing an instance of 'c10::AcceleratorError'\n"
        b"  what():  CUDA error: device-side assert triggered\n"
        b"Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n",
    )
    os.abort()


def test_waits_for_a_child_that_leaves() -> None:
    child = os.fork()
    if child == 0:
        os.write(2, b"loader: no such checkpoint: /models/llama-7b\n")
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "its exit code"


def test_starts_a_child_with_a_traceback() -> None:
    assert run_child("def serve():\n raise ValueError('page table too short')\nserve()") == 0, (
        "returncode"
    )


def test_meets_a_memory_limit() -> None:
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\n"
        "pages = bytearray(1 << 30)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_logs_its_cause_and_leaves() -> None:
    logging.getLogger("engine").error("scheduler: no page is free")
    os._exit(1)


def test_hangs() -> None:
    wait_for_a_peer()


def wait_for_a_peer() -> None:
    threading.Event().wait()


def test_overflows_its_stack() -> None:
    sys.setrecursionlimit(1 << 30)
    threading.stack_size(1 << 18)
    nest(0)


def nest(depth: int) -> int:
    return max([depth], key=nest)


def test_loses_a_thread_and_waits_for_it() -> None:
    def serve() -> None:
        raise LookupError("no page is free")

    threading.Thread(target=serve).start()
    threading.Event().wait()


def test_fails_at_exit(request: pytest.FixtureRequest) -> None:
    def close() -> None:
        raise OSError("log of the arena is gone")

    request.config.add_cleanup(close)


def test_has_a_grandchild_that_speaks() -> None:
    inner = "import sys; sys.stderr.write('driver: cannot map the arena\\n'); sys.exit(7)"
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {inner!r}]))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_prints_megabytes_after_the_cause() -> None:
    sys.stderr.write(f"RuntimeError: {CAUSE}\n")
    for _ in range(2500):
        sys.stderr.write(NOISE)
    os._exit(1)


def test_leaves_by_itself() -> None:
    time.sleep(0)
    give_up()


def give_up() -> None:
    os._exit(4)


def test_hangs_and_protests_when_it_is_ended() -> None:
    def protest(*_: object) -> None:
        os.write(2, b"RuntimeError: scheduler crashed with exit code -15\n")
        os._exit(1)

    signal.signal(signal.SIGTERM, protest)
    wait_for_a_peer()

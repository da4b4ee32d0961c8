"""Which line of a stream names the cause, whatever else the stream holds."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.cause_rules import Strength
from harness.core.kinds import Kind, Phase
from harness.core.last_words import (
    LONGEST_LINE,
    AttemptWords,
    CauseScanner,
    choose_cause,
    scan,
)
from harness.core.process_end import add_printed_cause
from harness.core.result import Failure
from harness.core.stacks import describe_threads, find_current, leave_out_runner

ADVICE = (
    "CUDA kernel errors might be asynchronously reported at some other API call\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "serve.py", line 3, in serve\n'
    '    raise RuntimeError("CUDA error: of the source, not of the run")\n'
)


@pytest.mark.parametrize(
    ("text", "line", "strength"),
    [
        (TRACEBACK + "ValueError: too short\n", "ValueError: too short", Strength.EXCEPTION),
        (TRACEBACK + "queue.Empty\nbye\n", "queue.Empty", Strength.EXCEPTION),
        (
            "".join(f"[rank3]: {line}\n" for line in (TRACEBACK + "KeyError: 'k'").splitlines()),
            "KeyError: 'k'",
            Strength.EXCEPTION,
        ),
        (
            f"torch.AcceleratorError: CUDA error: misaligned address\n{ADVICE}",
            "torch.AcceleratorError: CUDA error: misaligned address",
            Strength.DEVICE,
        ),
        (
            "terminate called after throwing 'c10::Error'\n  what():  NCCL error in: a.cpp:3\n",
            "NCCL error in: a.cpp:3",
            Strength.DEVICE,
        ),
        ("free(): invalid pointer\nAborted\n", "free(): invalid pointer", Strength.EXCEPTION),
        ("a.out: a.c:3: main: Assertion `n > 0' failed.\n", None, Strength.EXCEPTION),
        ("cannot open the door\n\n", "cannot open the door", Strength.LAST_LINE),
        (
            "ConnectionResetError: peer\n" + TRACEBACK + "OSError: disk\n",
            "OSError: disk",
            Strength.EXCEPTION,
        ),
        ("test_a.py ..RuntimeError: told\n", "RuntimeError: told", Strength.LOGGED),
        ("\x1b[31mRuntimeError: red\x1b[0m\n", "RuntimeError: red", Strength.LOGGED),
        ("10%|#   |\r90%|## |\rOSError: after a bar\n", "OSError: after a bar", Strength.LOGGED),
    ],
)
def test_the_line_that_names_the_cause_is_found(
    text: str, line: str | None, strength: Strength
) -> None:
    cause = scan("s", [text.encode()]).causes[0]
    assert (cause.line, cause.strength) == (line or text.strip(), strength)


def test_of_equal_causes_the_first_wins_and_a_chain_ends_with_what_was_raised() -> None:
    first = TRACEBACK + "ValueError: first\n"
    second = TRACEBACK + "KeyError: second\n"
    chained = "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert scan("s", [f"{first}{second}".encode()]).causes[0].line == "ValueError: first"
    assert scan("s", [f"{first}{chained}{second}".encode()]).causes[0].line == "KeyError: second"


def test_noise_after_the_cause_changes_nothing_and_memory_stays_bounded() -> None:
    scanner = CauseScanner("s")
    scanner.feed(b"RuntimeError: the cause\n")
    noise = b"9876 tokens per second, " * 2000 + b"\n"
    for _ in range(200):
        scanner.feed(noise)
    words = scanner.finish()
    assert words.causes[0].line == "RuntimeError: the cause"
    assert sum(len(line) for cause in words.causes for line in cause.lines) < 20_000
    assert words.size == 24 + 200 * len(noise)


def test_a_sealed_stream_gives_stacks_and_no_further_cause() -> None:
    scanner = CauseScanner("s")
    scanner.feed(b"loading\n")
    scanner.seal()
    scanner.feed(b"RuntimeError: ended by SIGTERM\nCurrent thread 0x1 (most recent call first):\n")
    scanner.feed(b'  File "a.py", line 1 in wait\n')
    words = scanner.finish()
    assert [cause.line for cause in words.causes] == ["loading"]
    assert words.stacks[0].frames[0].function == "wait"


def test_a_line_without_an_end_is_cut() -> None:
    scanner = CauseScanner("s")
    for _ in range(50):
        scanner.feed(b"error" * 1000)
        assert len(scanner._partial) <= LONGEST_LINE
    assert scanner.finish().causes


def test_binary_output_is_said_and_read_all_the_same() -> None:
    words = scan("s", [b"\x00\xff\xfe\x80 error \x01\n", b"OSError: behind it\n"])
    assert words.binary and words.causes[0].line == "OSError: behind it"
    assert not scan("s", [b"plain\n"]).binary


def test_the_stack_of_the_thread_that_got_the_signal_is_chosen() -> None:
    text = (
        "Fatal Python error: Segmentation fault\n\n"
        "Thread 0x01 [worker] (most recent call first):\n"
        '  File "/usr/lib/python3.11/threading.py", line 5 in wait\n\n'
        "Current thread 0x02 [main] (most recent call first):\n"
        '  File "/usr/lib/python3.11/ctypes.py", line 7 in string_at\n'
        '  File "/repo/suite.py", line 9 in read_table\n'
    )
    stack = find_current(scan("s", [text.encode()]).stacks)
    assert stack and stack.frames[0].function == "string_at"
    assert stack.own and stack.own.function == "read_table"


def test_threads_that_wait_for_each_other_are_named() -> None:
    """pytest's line of progress, which has no end yet, stands before the first of them."""
    text = (
        "test_locks.py Thread 0x01 (most recent call first):\n"
        '  File "/repo/locks.py", line 9 in take\n'
        '  File "/usr/lib/python3.11/threading.py", line 982 in run\n\n'
        "Thread 0x02 (most recent call first):\n"
        '  File "/repo/locks.py", line 9 in take\n\n'
        "Thread 0x03 (most recent call first):\n"
        '  File "/usr/lib/python3.11/socket.py", line 294 in accept\n\n'
        "Current thread 0x04 (most recent call first):\n"
        '  File "/repo/locks.py", line 20 in join_all\n'
    )
    stacks = scan("s", [text.encode()]).stacks
    assert describe_threads(stacks) == ["2 other threads in take (locks.py:9)"]


def test_calls_of_the_test_runner_are_left_out_of_stacks() -> None:
    lines = [
        'Thread 2 (active): "MainThread"',
        "    wait (/repo/engine.py:3)",
        "    pytest_pyfunc_call (/x/site-packages/_pytest/python.py:187)",
        "    main (/x/site-packages/_pytest/config/__init__.py:231)",
        'Thread 3 (idle): "worker"',
    ]
    left = "    (2 calls of the test runner)"
    assert leave_out_runner(lines) == [*lines[:2], left, lines[4]]


def test_the_strongest_cause_of_several_streams_is_chosen() -> None:
    weak, strong = scan("a", [b"Error: x\n"]), scan("b", [b"CUDA error: y\n"])
    found = choose_cause([weak, strong])
    assert found and (found.source, found.line) == ("b", "CUDA error: y")
    assert choose_cause([]) is None


PIECES = st.sampled_from(
    [
        *(b"Traceback (most recent call last):\n", b'  File "a", line 1, in b\n', b"KeyError: x"),
        *(b"Current thread 0x1 (most recent call first):\n", b'  File "a", line 1 in b\n', b"\r"),
        *(b"\n", b"\x1b[3", b"\xff\xfe", b"Fatal Python error: ", b"E   ", b"[rank0]: ", b"\x00"),
        *(b"During handling of the above", b"CUDA error", b"Assertion `' failed", b"a: \n"),
    ]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=60))
def test_no_stream_breaks_the_scanner_and_portions_do_not_matter(pieces: list[bytes]) -> None:
    whole, parts = scan("s", [b"".join(pieces)]), scan("s", pieces)
    assert whole.size == parts.size and whole.stacks == parts.stacks
    told = [[(c.strength, c.line) for c in words.causes] for words in (whole, parts)]
    assert told[0] == told[1]


def test_a_device_assert_is_named_by_the_assertion_that_the_kernel_printed() -> None:
    printed = scan("printed by the test", [
        b"/src/Index.cu:16: gather: block: [3,0,0], thread: [0,0,0] Assertion `ind < n` failed.\n"
    ])  # fmt: skip
    words = AttemptWords(tests={"test-1": printed})
    report = {"output": "test-1"}
    text = "CUDA error: device-side assert triggered"
    failure = Failure(Kind.DEVICE_ASSERT, Phase.RUN, f"AcceleratorError: {text}", text, "t::a")
    named = add_printed_cause(failure, report, words)
    assert "Assertion `ind < n` failed. (AcceleratorError)" in named.signature
    other = replace(failure, kind=Kind.ILLEGAL_ACCESS)
    assert add_printed_cause(other, report, words) == other


def test_a_child_that_was_killed_for_memory_is_out_of_memory() -> None:
    failure = Failure(
        *(Kind.ASSERTION, Phase.RUN, "AssertionError: assert <n> == <n> @ test_a"),
        "assert -9 == 0\n  where -9 = CompletedProcess(...).returncode",
    )
    named = add_printed_cause(failure, {}, AttemptWords(oom_kills=1))
    assert named.kind is Kind.OUT_OF_MEMORY
    assert named.signature == "the kernel killed a process for memory (AssertionError @ test_a)"
    assert add_printed_cause(failure, {}, AttemptWords()) == failure
    other = replace(failure, message="assert 3 == 0")
    assert add_printed_cause(other, {}, AttemptWords(oom_kills=1)) == other

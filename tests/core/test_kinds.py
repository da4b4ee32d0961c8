"""Kinds and signatures: equal for what a person would call the same, different otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.kinds import Exc, Frame, Kind, KindScope, classify_exception, find_strongest
from harness.core.signature import make_signature, normalise

RUNTIME = ("builtins.RuntimeError", "builtins.Exception")
ACCELERATOR = ("torch.AcceleratorError", *RUNTIME)


@pytest.mark.parametrize(
    ("types", "message", "kind"),
    [
        (ACCELERATOR, "CUDA error: an illegal memory access was encountered", "illegal-access"),
        (ACCELERATOR, "CUDA error: device-side assert triggered", "device-assert"),
        (ACCELERATOR, "CUDA error: unspecified launch failure", "cuda-error"),
        (("torch.OutOfMemoryError", *RUNTIME), "CUDA out of memory. Tried to", "out-of-memory"),
        (ACCELERATOR, "CUDA error: out of memory", "out-of-memory"),
        # It may be memory; an earlier fault would surface in the same words.
        (RUNTIME, 'torch_call_dispatcher( "aten::new_empty", "") API call failed', "error"),
        (("builtins.MemoryError",), "", "out-of-memory"),
        (RUNTIME, "[gloo/x.cc:1] Connection closed by peer [127.0.0.1]:5", "collective-timeout"),
        (RUNTIME, "Timed out waiting 60000ms for recv operation", "collective-timeout"),
        (
            ("harness.engine.capture.barrier.CaptureBarrierTimeout",),
            "ranks [1]",
            "collective-timeout",
        ),
        (("x.NanDetected", "builtins.FloatingPointError"), "verify logits", "nan"),
        (("x.WrongOutput", "builtins.AssertionError"), "token 5 for 6", "wrong-output"),
        (("x.CaptureError",), "item() in capture", "capture-error"),
        (("builtins.AssertionError",), "1 != 2", "assertion"),
        (("builtins.AssertionError",), "the room is in bloom, score 3", "assertion"),
        (("builtins.KeyError",), "x", "error"),
    ],
)
def test_an_exception_is_named_by_its_own_words(
    types: tuple[str, ...], message: str, kind: str
) -> None:
    assert classify_exception(Exc(types, message), in_setup=False) == kind


ADVICE = (
    "\nSearch for `cudaErrorLaunchFailure' in https://docs.nvidia.com/cuda/ for more information."
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the "
    "stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
    "\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("CUDA error: unspecified launch failure", Kind.CUDA_ERROR),
        ("CUDA error: misaligned address", Kind.CUDA_ERROR),
        ("CUDA error: out of memory", Kind.OUT_OF_MEMORY),
        ("CUDA error: device-side assert triggered", Kind.DEVICE_ASSERT),
        ("CUDA error: an illegal memory access was encountered", Kind.ILLEGAL_ACCESS),
        ("CUDA error: operation not permitted when stream is capturing", Kind.CAPTURE_ERROR),
        (
            "CUDA error: operation failed due to a previous error during capture",
            Kind.CAPTURE_ERROR,
        ),
    ],
)
def test_a_cuda_errors_own_line_counts_and_not_the_advice_below_it(line: str, kind: Kind) -> None:
    assert classify_exception(Exc(ACCELERATOR, line + ADVICE), in_setup=False) is kind


@pytest.mark.parametrize(
    ("types", "message", "kind"),
    [
        (("builtins.ConnectionResetError",), "Connection reset by peer", Kind.ERROR),
        (("x.DriverError",), "failed while capturing screenshot", Kind.ERROR),
        (("builtins.AssertionError",), "no 'CUDA error' in the log", Kind.ASSERTION),
        (("x.NanDetected",), "in a data frame", Kind.ERROR),
        (("builtins.MemoryError",), "", Kind.OUT_OF_MEMORY),
        (("_pytest.outcomes.Failed",), "DID NOT RAISE <class 'ValueError'>", Kind.ASSERTION),
        (("_pytest.outcomes.Failed",), "Timeout (>1.0s) from pytest-timeout.", Kind.HANG),
        ((), "[XPASS(strict)] known bug", Kind.ASSERTION),
    ],
)
def test_without_an_engine_its_words_name_nothing(
    types: tuple[str, ...], message: str, kind: Kind
) -> None:
    scope = KindScope(graphs=False, collectives=False)
    assert classify_exception(Exc(types, message), in_setup=False, scope=scope) is kind


def test_a_plain_exception_in_set_up_is_a_setup_error_but_a_cuda_error_stays_one() -> None:
    plain = Exc(("builtins.AssertionError",), "no")
    assert classify_exception(plain, in_setup=True) is Kind.SETUP_ERROR
    illegal = Exc(ACCELERATOR, "CUDA error: an illegal memory access was encountered")
    assert classify_exception(illegal, in_setup=True) is Kind.ILLEGAL_ACCESS


def test_the_strongest_kind_names_an_attempt() -> None:
    assert find_strongest([Kind.ASSERTION, Kind.NAN, Kind.WRONG_OUTPUT]) is Kind.NAN


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("at 0x7f00aa12 in block 17", "at 0x7f9912 in block 3"),
        ("file /tmp/a1/x.py missing", "file /home/u/x.py missing"),
        ("got 0.123 wanted 1e-5", "got 7 wanted 2.5"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-e89b-12d3-a456-426614174fff"),
        ("\x1b[31mred\x1b[0m 1", "red 2"),
    ],
)
def test_two_occurrences_of_one_failure_normalise_alike(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


def test_different_failures_stay_different() -> None:
    assert normalise("index out of bounds") != normalise("illegal memory access")


def test_a_signature_names_the_innermost_frame_of_the_projects_own() -> None:
    frames = (Frame("/p/suite.py", 3, "check"), Frame("/x/site-packages/t.py", 9, "inner"))
    exc = Exc(("builtins.ValueError",), "bad value 3\nmore", frames)
    assert make_signature(exc) == "ValueError: bad value <n> @ check"


@given(st.text(max_size=500))
def test_normalising_twice_changes_nothing_and_never_raises(text: str) -> None:
    once = normalise(text)
    assert len(once) <= 240
    assert "\n" not in once

"""What a failure is: its kind, the phase it fell in, and the rules that tell kinds apart.

Rules look at the exception's own type names and message and at how the process ended, never at
the whole log: a pattern that matches "OOM" anywhere in a log also matches "room".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Failure kinds, strongest first: the first that applies to an attempt names it."""

    SIGNAL = "signal"
    EARLY_EXIT = "early-exit"
    ILLEGAL_ACCESS = "illegal-access"
    DEVICE_ASSERT = "device-assert"
    CUDA_ERROR = "cuda-error"
    OUT_OF_MEMORY = "out-of-memory"
    NAN = "nan"
    COLLECTIVE_TIMEOUT = "collective-timeout"
    CAPTURE_ERROR = "capture-error"
    HANG = "hang"
    WRONG_OUTPUT = "wrong-output"
    ASSERTION = "assertion"
    SETUP_ERROR = "setup-error"
    ERROR = "error"
    NO_TESTS = "no-tests"
    INFRASTRUCTURE = "infrastructure"


#: Position in the precedence, 0 the strongest.
PRECEDENCE = {kind: rank for rank, kind in enumerate(Kind)}


class Phase(StrEnum):
    """Where in an attempt a failure fell."""

    SETUP = "setup"
    CAPTURE = "capture"
    RUN = "run"
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a traceback."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Exc:
    """An exception as it crossed the wire: type names (its MRO), message, innermost frames last."""

    types: tuple[str, ...]
    message: str
    frames: tuple[Frame, ...] = ()


# CUDA's own words come first in the precedence, so they are looked for first. Each pattern is
# anchored on a phrase that CUDA, NCCL, Gloo or torch prints, not on a bare word.
_MESSAGES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"illegal memory access|cudaErrorIllegalAddress", re.I), Kind.ILLEGAL_ACCESS),
    (re.compile(r"device-side assert|cudaErrorAssert\b", re.I), Kind.DEVICE_ASSERT),
    (
        re.compile(
            r"CUDA (error: )?out of memory|cudaErrorMemoryAlloc|DefaultCPUAllocator: can't alloc"
        ),
        Kind.OUT_OF_MEMORY,
    ),
    (re.compile(r"\bCUDA error\b|cudaError[A-Z]|CUBLAS_STATUS_|CUDNN_STATUS_"), Kind.CUDA_ERROR),
    (
        re.compile(
            r"Timed out (waiting|after)|Watchdog caught collective operation timeout|"
            r"ncclRemoteError|ncclSystemError|Connection (closed|reset) by peer|"
            r"ranks \[[0-9, ]*\] did not arrive",
            re.I,
        ),
        Kind.COLLECTIVE_TIMEOUT,
    ),
    (
        re.compile(r"capture cuda graph failed|StreamCapture|while (stream is )?capturing", re.I),
        Kind.CAPTURE_ERROR,
    ),
)

_TYPES: tuple[tuple[frozenset[str], Kind], ...] = (
    (frozenset({"OutOfMemoryError", "MemoryError"}), Kind.OUT_OF_MEMORY),
    (frozenset({"NanDetected"}), Kind.NAN),
    (frozenset({"CaptureBarrierTimeout", "DistBackendError"}), Kind.COLLECTIVE_TIMEOUT),
    (frozenset({"CaptureError"}), Kind.CAPTURE_ERROR),
    (frozenset({"WrongOutput"}), Kind.WRONG_OUTPUT),
)


def classify_exception(exc: Exc, *, in_setup: bool) -> Kind:
    """Name the kind of one exception.

    `in_setup`: it was raised by a fixture, setUpClass or collection; an exception that no stronger
    rule names is then a setup error, whatever its type.
    """
    for pattern, kind in _MESSAGES:
        if pattern.search(exc.message):
            return kind
    names = {name.rpartition(".")[2] for name in exc.types}
    for known, kind in _TYPES:
        if names & known:
            return kind
    if in_setup:
        return Kind.SETUP_ERROR
    return Kind.ASSERTION if "AssertionError" in names else Kind.ERROR


def find_strongest(kinds: Sequence[Kind]) -> Kind:
    """The kind that names an attempt with several failures. Raises ValueError for none."""
    return min(kinds, key=PRECEDENCE.__getitem__)

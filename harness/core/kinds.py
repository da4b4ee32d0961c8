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

    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
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

#: What an error of CUDA's can be called.
CUDA_KINDS = frozenset(
    {Kind.ILLEGAL_ACCESS, Kind.DEVICE_ASSERT, Kind.CUDA_ERROR, Kind.OUT_OF_MEMORY}
)


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


@dataclass(frozen=True, slots=True)
class KindScope:
    """Which kinds an attempt can have at all.

    A test of a web server may say "Connection reset by peer", and one of a browser "while capturing
    a screenshot": such words name a kind only if something ran that means them so.
    """

    graphs: bool = True
    """It ran on CUDA or built this project's engine."""
    collectives: bool = True
    """It had several ranks."""
    blocking: bool = False
    """Each kernel was waited for, so that the call that noticed a fault is the one at fault."""


# PyTorch ends every CUDA error with the same advice, which names kinds that the error is not.
_ADVICE = re.compile(
    r"^(CUDA kernel errors might be|For debugging consider|Compile with `TORCH_USE_CUDA_DSA`|"
    r"Device-side assertion tracking|Search for `cudaError).*$",
    re.M,
)

# CUDA's own words come first in the precedence, so they are looked for first. Each pattern is
# anchored on a phrase that CUDA, NCCL, Gloo or torch prints, not on a bare word.
_MEMORY = re.compile(
    r"CUDA (error: )?out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAlloc|"
    r"CUBLAS_STATUS_ALLOC_FAILED|DefaultCPUAllocator: can't alloc"
)
_GRAPH_MESSAGES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"illegal memory access|cudaErrorIllegalAddress", re.I), Kind.ILLEGAL_ACCESS),
    (re.compile(r"device-side assert|cudaErrorAssert\b", re.I), Kind.DEVICE_ASSERT),
    (_MEMORY, Kind.OUT_OF_MEMORY),
    (
        re.compile(
            r"capture cuda graph failed|StreamCapture|while (stream is )?capturing|"
            r"stream is capturing|previous error during capture",
            re.I,
        ),
        Kind.CAPTURE_ERROR,
    ),
    (
        re.compile(r"\bCUDA error\b|cudaError[A-Z]|CUDA_ERROR_|CUBLAS_STATUS_|CUDNN_STATUS_"),
        Kind.CUDA_ERROR,
    ),
)
_COLLECTIVE_MESSAGES = (
    # A call that NCCL refuses waits for nobody.
    (re.compile(r"ncclInvalid(Usage|Argument)"), Kind.ERROR),
    (
        re.compile(
            r"Timed out (waiting|after)|Watchdog caught collective operation timeout|"
            r"ncclRemoteError|ncclSystemError|Connection (closed|reset) by peer|"
            r"ranks \[[0-9, ]*\] did not arrive",
            re.I,
        ),
        Kind.COLLECTIVE_TIMEOUT,
    ),
)
_OTHER_MESSAGES = (
    (_MEMORY, Kind.OUT_OF_MEMORY),
    (re.compile(r"Timeout \(>[0-9.]+s\) from pytest-timeout"), Kind.HANG),
    (re.compile(r"\[XPASS\(strict\)\]"), Kind.ASSERTION),
    (re.compile(r"^worker 'gw[0-9]+' crashed while running "), Kind.EARLY_EXIT),  # xdist
)

_Types = tuple[tuple[frozenset[str], Kind], ...]

_GRAPH_TYPES: _Types = (
    (frozenset({"NanDetected"}), Kind.NAN),
    (frozenset({"CaptureError"}), Kind.CAPTURE_ERROR),
    (frozenset({"WrongOutput"}), Kind.WRONG_OUTPUT),
)
_COLLECTIVE_TYPES: _Types = (
    (frozenset({"CaptureBarrierTimeout", "DistBackendError"}), Kind.COLLECTIVE_TIMEOUT),
)
_OTHER_TYPES: _Types = ((frozenset({"OutOfMemoryError", "MemoryError"}), Kind.OUT_OF_MEMORY),)
#: AssertionError, and what pytest.fail and pytest.raises raise.
_ASSERTIONS = {"AssertionError", "Failed"}


def classify_exception(exc: Exc, *, in_setup: bool, scope: KindScope | None = None) -> Kind:
    """Return the kind of one exception.

    in_setup: it was raised by a fixture, setUpClass or collection; an exception that no stronger
    rule names is then a setup error, whatever its type. scope: every kind, if not given.
    """
    scope = scope or KindScope()
    named = _classify_message(_ADVICE.sub("", exc.message), scope)
    names = {name.rpartition(".")[2] for name in exc.types}
    found = named or _classify_types(names, scope)
    if found and not (in_setup and found is Kind.ASSERTION):
        return found
    if in_setup:
        return Kind.SETUP_ERROR
    return Kind.ASSERTION if names & _ASSERTIONS else Kind.ERROR


def _classify_message(message: str, scope: KindScope) -> Kind | None:
    patterns = (
        *(_GRAPH_MESSAGES if scope.graphs else ()),
        *(_COLLECTIVE_MESSAGES if scope.collectives else ()),
        *_OTHER_MESSAGES,
    )
    return next((kind for pattern, kind in patterns if pattern.search(message)), None)


def _classify_types(names: set[str], scope: KindScope) -> Kind | None:
    types = (
        *_OTHER_TYPES,
        *(_GRAPH_TYPES if scope.graphs else ()),
        *(_COLLECTIVE_TYPES if scope.collectives else ()),
    )
    return next((kind for known, kind in types if names & known), None)


def find_strongest(kinds: Sequence[Kind]) -> Kind:
    """The kind that names an attempt with several failures. Raises ValueError for none."""
    return min(kinds, key=PRECEDENCE.__getitem__)

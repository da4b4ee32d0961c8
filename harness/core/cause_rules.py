"""Which lines of a process's output name a cause, as data: a rule has a strength and a pattern."""

import re
from dataclasses import dataclass
from enum import IntEnum


class Strength(IntEnum):
    """How much a line says of a cause. Of two lines the stronger one names it."""

    #: The last line that was printed, because no line names a cause.
    LAST_LINE = 0
    #: What other processes say once one has died: a closed connection, an exit status.
    CONSEQUENCE = 1
    #: A line that a program logged as an error.
    LOGGED = 2
    #: Python's own word for a signal: "Fatal Python error: Segmentation fault".
    FATAL = 3
    #: An exception at the end of a traceback; what the C library or C++ says before it aborts.
    EXCEPTION = 4
    #: Memory ran out, of the host or the device.
    MEMORY = 5
    #: CUDA, cuBLAS, cuDNN, NCCL or the driver.
    DEVICE = 6
    #: An assertion inside a kernel, which names the condition.
    DEVICE_ASSERTION = 7


@dataclass(frozen=True, slots=True)
class CauseRule:
    """A pattern that is looked for anywhere in a line."""

    strength: Strength
    pattern: re.Pattern[str]


def _rule(strength: Strength, *patterns: str) -> CauseRule:
    return CauseRule(strength, re.compile("|".join(patterns)))


#: The strongest first: the first rule that matches a line decides.
RULES: tuple[CauseRule, ...] = (
    _rule(
        Strength.DEVICE_ASSERTION,
        r"block: ?\[[-\d, ]+\], ?thread: ?\[[-\d, ]+\],? Assertion",
    ),
    _rule(
        Strength.DEVICE,
        r"\bCUDA (error|driver error|failure)\b",
        r"\bCuda failure\b",
        r"CUDA_ERROR_[A-Z]+|cudaError[A-Z]\w+|CUBLAS_STATUS_(?!SUCCESS)\w+|CUDNN_STATUS_(?!SUCC)\w+",
        r"\bnccl[A-Z]\w*Error\b|NCCL (error|WARN)\b",
        r"illegal memory access|unspecified launch failure|device-side assert triggered",
        r"failed with error code\b",
        r"NVRM: Xid|\bXid \(",
    ),
    _rule(
        Strength.MEMORY,
        r"[Oo]ut of memory|OutOfMemoryError|\bMemoryError\b|Cannot allocate memory|can't allocate",
        r"std::bad_alloc|Killed process \d+|oom-kill",
    ),
    _rule(
        Strength.EXCEPTION,
        r"^\s*what\(\):\s*\S",
        r"Assertion [`'\"].*['\"] failed",
        r"stack smashing detected|double free or corruption|buffer overflow detected",
        r"^(malloc|free|realloc|corrupted|munmap_chunk|malloc_consolidate)\b.*\(\): ",
        r"pure virtual method called",
        r"==\d+== ?ERROR: \w+Sanitizer",
        r"^thread '.*' .*panicked at|^panic: ",
        r"Internal error in process|TORCH_CHECK",
    ),
    _rule(Strength.FATAL, r"Fatal Python error: "),
    _rule(
        Strength.CONSEQUENCE,
        r"Connection (closed|reset|refused|aborted)|[Bb]roken pipe|BrokenProcessPool",
        r"died unexpectedly|terminated abruptly|[Ee]xit(ed| code| status)\b.*\d",
        r"\b(KeyboardInterrupt|SystemExit|EOFError|CancelledError|BrokenPipeError)\b",
        r"\b(CalledProcessError|ProcessExitedException|ProcessRaisedException|ActorDiedError)\b",
    ),
    _rule(
        Strength.LOGGED,
        r"\b(ERROR|FATAL|CRITICAL|PANIC)\b",
        r"\b[Ff]atal error\b|^[\w./+-]*:? ?[Ee]rror: ",
        r"\b[A-Z]\w*(Error|Exception): ",
        r"terminate called after throwing",
        r"\b(Aborted|Segmentation fault|Bus error|Illegal instruction)\b",
        r"\b[Tt]imed out\b",
    ),
)

#: What PyTorch puts below every CUDA error, whatever the error is.
ADVICE = re.compile(
    r"^(CUDA kernel errors might be|For debugging consider|Compile with `TORCH_USE_CUDA_DSA`|"
    r"Device-side assertion|Search for `cudaError|Exception raised from )"
)

#: What a log puts before its lines: `[rank0]: `, `(EngineCore pid=7) `, a time; and pytest its
#: progress, `test_x.py .`, whose line has no end yet.
PREFIX = re.compile(
    r"^(?:\[[^\]\n]{1,60}\]:? |\([^)\n]{1,60}\) |\d{4}-\d\d-\d\d[T ][\d:,.+Z-]+ |E {3,}|"
    r"[\w./-]+\.py(?:::\S+)? \.*)+"
)

#: An exception's last line: a name, perhaps dotted, and perhaps a message.
EXCEPTION_LINE = re.compile(r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?::(?: (.*))?)?$")
#: The same where no traceback says that it is one.
NAMED_EXCEPTION = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Failure|Interrupt|Exit|Timeout)\b(?:: |$)"
)

#: Parts of the lines above, in small letters. Output without any of them names no cause.
HINTS: tuple[bytes, ...] = (
    *(b"error", b"exception", b"traceback", b"fatal", b"panic", b"critical", b"assert", b"abort"),
    *(b"memory", b"nccl", b"failure", b"xid", b"what()", b"illegal", b"fault", b"_status_"),
    *(b"timed out", b"connection", b"broken", b"interrupt", b"exit", b"bad_alloc", b"oom-kill"),
    *(b"killed", b"recent call first", b"detected", b"corrupt", b"torch_check", b"cancelled"),
    *(b"unexpectedly", b"abruptly", b"allocate", b"pure virtual", b"sanitizer", b"(): "),
)


def rate_line(line: str) -> Strength | None:
    """Return how much a line says of a cause; None if it names none."""
    if ADVICE.match(line):
        return None
    return next((rule.strength for rule in RULES if rule.pattern.search(line)), None)

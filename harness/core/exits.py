"""Exit codes of the `harness` command: documented API."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process's exit status means."""

    #: No valid attempt failed, or the stated gate holds.
    OK = 0
    #: Failures were seen, or the gate is broken.
    FAILURES = 1
    #: Usage, configuration or capability: nothing was measured.
    USAGE = 2
    #: The data cannot decide the question that was asked.
    UNDECIDED = 3
    #: The suites collected no test.
    NO_TESTS = 4
    #: No valid attempt in some cell, or no device to run on.
    NO_VALID_ATTEMPT = 5
    #: The store is unusable.
    STORE = 6
    #: Interrupted; what had finished is kept.
    INTERRUPTED = 130

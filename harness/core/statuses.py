"""The words for how an attempt, a run and a verdict stand: declared once, stored as text."""

from enum import StrEnum


class AttemptStatus(StrEnum):
    """How one attempt ended."""

    PASSED = "passed"
    FAILED = "failed"
    #: Infrastructure: the device, the node or the supervisor failed, never the suite.
    INFRA = "infra"
    #: Killed in flight by an interrupted run: it might have passed or failed.
    CENSORED = "censored"


#: The attempts that count in a rate: the suite's own code decided them.
VALID = frozenset({AttemptStatus.PASSED, AttemptStatus.FAILED})


class RunStatus(StrEnum):
    """How a run stands. All but `complete` and `decided` can be resumed."""

    RUNNING = "running"
    #: Nothing of the plan is owed.
    COMPLETE = "complete"
    #: Stopped early, because no further attempt could change the answer.
    DECIDED = "decided"
    #: Attempts are owed, because they were lost before their suite started.
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    #: The driver itself ended with an error.
    FAILED = "failed"


class VerdictOutcome(StrEnum):
    """What the run says as a whole."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    NO_TESTS = "no-tests"
    #: Some cell has no valid attempt.
    CANNOT_SAY = "cannot-say"
    INTERRUPTED = "interrupted"

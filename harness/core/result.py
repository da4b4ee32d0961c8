"""What one attempt came to: the values that the fold decides and the store keeps."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.core.audit import AuditFinding
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.kinds import Kind, KindScope, Phase, find_strongest
from harness.core.last_words import AttemptWords
from harness.core.limits import LimitHit
from harness.core.statuses import AttemptStatus


class Outcome(StrEnum):
    """A test's result in one attempt."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    PRECLUDED = "precluded"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: of a test, of a class's set-up or a collection, or of the process itself."""

    kind: Kind
    phase: Phase
    signature: str
    message: str
    test: str | None = None


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test in one attempt. `recovered`: a rerun in the same process ended well."""

    __test__ = False  # the name makes pytest try to collect it

    id: str
    outcome: Outcome
    seconds: float = 0.0
    failure: Failure | None = None
    reran: bool = False
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How the processes of an attempt ended, as the supervisor saw it."""

    exits: tuple[tuple[int, int | None, str | None], ...]
    """(rank, exit code or None, signal name or None), in the order of death."""
    timed_out: bool = False
    timeout_s: float = 0.0
    infrastructure: str | None = None
    """Why the attempt is not the suite's fault: device not clean, actor or node lost."""
    left_behind: tuple[str, ...] = ()
    """Processes that outlived the attempt and were reaped."""
    scope: KindScope = field(default_factory=KindScope)
    """Which kinds its failures can have."""
    notes: tuple[str, ...] = ()
    """What the supervisor has to say of how the attempt was made."""
    words: AttemptWords = field(default_factory=AttemptWords)
    """What the processes printed that names a cause."""
    limit: LimitHit | None = None
    """The limit for which the attempt was killed."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt, decided."""

    status: AttemptStatus
    tests: tuple[TestResult, ...]
    failures: tuple[Failure, ...]
    capture: CaptureMeasurement
    inside_seconds: float
    replays: dict[str, int]
    eager_steps: int
    notes: tuple[str, ...]
    audit: tuple[AuditFinding, ...] = ()
    """What the graph audit found, in the order of the replays that would have used it."""

    @property
    def failure(self) -> Failure | None:
        """The failure that names the attempt: the strongest kind, the first of its kind."""
        if not self.failures:
            return None
        kind = find_strongest([failure.kind for failure in self.failures])
        return next(failure for failure in self.failures if failure.kind is kind)


def make_censored() -> AttemptResult:
    """An attempt that an interrupted run killed in flight: it might have passed or failed."""
    return AttemptResult(AttemptStatus.CENSORED, (), (), CaptureMeasurement(), 0.0, {}, 0, ())

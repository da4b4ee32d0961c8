"""The one typed report of a run: what every format renders and what `run.json` holds.

Plain frozen values. Their fields are the keys of `run.json`; what follows from other fields is a
property. Importing this module loads no numpy, SciPy or SQLAlchemy, which the bot does not have.
"""

from dataclasses import dataclass
from typing import Any

from harness.analysis.capture_order import CaptureOrder
from harness.core.audit import AuditCount
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Cell, Value
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus, RunStatus, VerdictOutcome
from harness.stats.attribution import Attribution
from harness.stats.contrasts import Finding
from harness.stats.intervals import Interval
from harness.stats.rate_gate import RateGate


@dataclass(frozen=True, slots=True)
class TestRate:
    """One test in one cell. Precluded outcomes are outside its denominator."""

    __test__ = False  # the name makes pytest try to collect it

    id: str
    passed: int
    failed: int
    skipped: int
    precluded: int
    recovered: int
    kinds: dict[str, int]
    interval: Interval | None

    @property
    def valid(self) -> int:
        """Outcomes that count."""
        return self.passed + self.failed

    @property
    def name(self) -> str:
        """The test's name in its file, which the suite names."""
        return self.id.partition("::")[2] or self.id


@dataclass(frozen=True, slots=True)
class CellRate:
    """One suite in one cell, counted. `name` is unique in the run.

    `kind_intervals` are those of competing kinds: an attempt fails of one kind only. `interval` is
    None for repeats of one fixed seed. `worst_case` holds whatever the infrastructure and censored
    attempts would have been; None if there are none. `seconds` is the median of a whole attempt.
    `capture`: medians of pool bytes and seconds, the greatest peak, the last attempt's trace.
    """

    name: str
    suite: str
    axes: Cell
    planned: int
    passed: int
    failed: int
    infra: int
    censored: int
    kinds: dict[str, int]
    kind_intervals: dict[str, Interval]
    interval: Interval | None
    worst_case: Interval | None
    seconds: float
    capture: CaptureMeasurement
    tests: tuple[TestRate, ...]
    notes: tuple[str, ...]
    part: int = 0
    """0, or the n-th part of a run that was resumed with changed files."""

    @property
    def valid(self) -> int:
        """Attempts that count: passed and failed."""
        return self.passed + self.failed

    @property
    def order(self) -> CaptureOrder:
        """The capture order asked for, and the one seen."""
        return CaptureOrder(self.capture.requested, self.capture.observed)

    @property
    def attempts(self) -> int:
        """Attempts that ended, infrastructure included."""
        return self.valid + self.infra

    @property
    def precluded(self) -> int:
        """Test outcomes that were not reached."""
        return sum(test.precluded for test in self.tests)

    @property
    def rate(self) -> float | None:
        """Failed of valid attempts; None if there is none."""
        return self.failed / self.valid if self.valid else None


@dataclass(frozen=True, slots=True)
class RefusedCell:
    """A planned cell that cannot run here, and why."""

    suite: str
    axes: Cell
    reason: str


@dataclass(frozen=True, slots=True)
class ContrastResult:
    """A planned comparison. `counts`: failed and valid of the value, then of the reference.

    `difference` and `interval` are of rates, value minus reference. `outlook` says what would
    decide an undecided comparison.
    """

    suite: str
    axis: str
    value: Value
    reference: Value
    where: str
    counts: tuple[int, int, int, int] | None
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_adjusted: float | None
    test: str | None
    finding: Finding
    outlook: str
    sentence: str

    @property
    def is_decided(self) -> bool:
        """Whether the two rates were found to differ."""
        return self.finding is Finding.DIFFERENT

    @property
    def rank(self) -> float:
        """What a reader looks for first: revisions, then what differs most clearly."""
        clear = 1 if self.p is None else self.p
        return clear - 2 if self.axis == AXIS else clear


@dataclass(frozen=True, slots=True)
class SignatureCount:
    """One failure signature, how many attempts it named, and its first attempt's message.

    `folder` is where the first attempt's logs are on the machine that ran it; empty if unknown.
    """

    id: str
    signature: str
    kind: str
    phase: str
    n: int
    example: str = ""
    message: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class WarmupAttempt:
    """An attempt that was made first and is in no count. `seconds` is of the whole attempt."""

    id: str
    suite: str
    axes: Cell
    status: AttemptStatus
    seconds: float
    kind: str | None
    phase: str | None
    signature: str | None
    message: str | None

    @property
    def has_failed(self) -> bool:
        """Whether the suite failed in it."""
        return self.status is AttemptStatus.FAILED


@dataclass(frozen=True, slots=True)
class RateGateResult:
    """The claim that every cell fails less often than a rate, and what came of it."""

    max_flake_rate: float
    state: RateGate

    @property
    def holds(self) -> bool:
        """Whether every cell is proven to fail less often."""
        return self.state is RateGate.HOLDS

    @property
    def is_broken(self) -> bool:
        """Whether some cell is proven to fail more often."""
        return self.state is RateGate.BROKEN


@dataclass(frozen=True, slots=True)
class VerdictResult:
    """What the run says. `attempts_needed`: per cell, in a new run that would decide the rest."""

    outcome: VerdictOutcome
    sentences: tuple[str, ...]
    attempts_needed: int | None


@dataclass(frozen=True, slots=True)
class MeasuredRevision:
    """One commit under test; `rev` is its value on the axis."""

    rev: str
    named: str
    sha: str
    python: str
    folder: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CiOrigin:
    """The workflow run that made a result."""

    provider: str
    repository: str
    run_id: str
    run_attempt: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run itself. Times are seconds since 1970, `repeats` the attempts planned per cell."""

    id: str
    seed: int
    device: str
    graphs: str
    status: RunStatus
    sha: str | None
    dirty: str | None
    created: float
    ended: float | None
    repeats: int
    fixed_seed: bool
    in_ci: bool
    ci: CiOrigin | None
    until_decided: bool
    expected_rates: tuple[float, float]
    revisions: tuple[MeasuredRevision, ...]
    fingerprint: dict[str, Any]
    audited: bool = False
    """Graphs were audited before they were replayed."""
    ended_by: str | None = None
    """Why the run is not complete; None if it is, and for runs before 2026-11-24."""


@dataclass(frozen=True, slots=True)
class EarlierPart:
    """What a run measured before something changed: rates of their own, in no other number.

    `changed` says what differs in the part that follows.
    """

    part: int
    changed: tuple[str, ...]
    cells: tuple[CellRate, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A run, counted and judged."""

    run: RunFacts
    cells: tuple[CellRate, ...]
    refused: tuple[RefusedCell, ...]
    contrasts: tuple[ContrastResult, ...]
    signatures: tuple[SignatureCount, ...]
    infrastructure: tuple[str, ...]
    gate: RateGateResult | None
    attribution: Attribution | None
    verdict: VerdictResult
    warmup: tuple[WarmupAttempt, ...] = ()
    audit: tuple[AuditCount, ...] = ()
    earlier: tuple[EarlierPart, ...] = ()
    """Parts before a change, whose rates are in no other number of the report."""

    @property
    def all_cells(self) -> tuple[CellRate, ...]:
        """The cells of every part, the earliest first."""
        return (*(cell for part in self.earlier for cell in part.cells), *self.cells)

"""A pool without Ray: each attempt ends as a script says, at the next look."""

from collections.abc import Callable, Sequence

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.devices import Device
from harness.cluster.interface import Loss, StartedAttempt
from harness.cluster.leases import Leases
from harness.cluster.members import Gang, Member
from harness.core.events import Event

#: What an attempt comes to: its record, or why it is lost.
Script = Callable[[AttemptSpec], AttemptRecord | str]


def make_record(
    *reports: tuple[str, str], exitstatus: int = 0, message: str = "boom"
) -> AttemptRecord:
    """Return the record of an attempt whose tests ended so: pairs of test id and outcome."""
    events: list[tuple[int, Event]] = [
        (0, {"event": "hello", "v": 1}),
        (0, {"event": "collected", "tests": [test for test, _ in reports]}),
    ]
    for test, outcome in reports:
        exc = {"types": ["AssertionError"], "message": message, "frames": []}
        report = {"event": "report", "id": test, "when": "call", "outcome": outcome, "exc": exc}
        events += [
            (0, {"event": "test_start", "id": test}),
            (0, report if outcome == "failed" else {**report, "exc": None}),
            (0, {"event": "test_end", "id": test}),
        ]
    events.append((0, {"event": "finish", "exitstatus": exitstatus, "inside_seconds": 0.1}))
    return AttemptRecord(keeper_id="k", started=1.0, wall_seconds=0.2, events=events)


def passing(_spec: AttemptSpec) -> AttemptRecord:
    """Script of an attempt that passes."""
    return make_record(("t::a", "passed"))


def failing(_spec: AttemptSpec) -> AttemptRecord:
    """Script of an attempt whose only test fails."""
    return make_record(("t::a", "failed"), exitstatus=1)


class FakePool(Leases):
    """Devices of one node or more. A `DevicePool`."""

    def __init__(self, script: Script, devices: int = 2, nodes: int = 1) -> None:
        super().__init__(
            [
                Member(Device("cpu", f"cpu:{i}", "slot", i), f"node{i % nodes}", f"host{i % nodes}")
                for i in range(devices)
            ]
        )
        self._script = script
        self.specs: list[AttemptSpec] = []
        self.cancelled: list[str] = []
        self.unclean: dict[str, str] = {}
        self.before_wait: Callable[[], None] = lambda: None

    def warm(self, tp: int) -> None:
        """Do nothing: there is no process to start."""

    def start(self, gang: Gang, spec: AttemptSpec) -> StartedAttempt:
        """Note that the attempt was started."""
        self.specs.append(spec)
        return StartedAttempt(gang, spec)

    def wait(self, started: Sequence[StartedAttempt], timeout_s: float) -> list[StartedAttempt]:  # noqa: ARG002 - DevicePool
        """Return the first attempt: they end in lease order."""
        self.before_wait()
        return list(started)[:1]

    def collect(self, started: StartedAttempt) -> AttemptRecord | Loss:
        """Return what the script says, or that a device is not clean."""
        for member in started.gang.members:
            if reason := self.unclean.get(member.device.id):
                member.quarantined = reason
                return Loss(f"device not clean: {reason}", before_start=True)
        outcome = self._script(started.spec)
        if isinstance(outcome, str):
            return Loss(outcome, before_start=True, detail="traceback")
        return outcome

    def take_events(self, started: StartedAttempt) -> list[tuple[int, Event]]:  # noqa: ARG002 - DevicePool
        """Return nothing: events come with the record."""
        return []

    def take_notices(self) -> list[str]:
        """Return nothing: nobody quarantines by rule here."""
        return []

    def cancel(self, started: StartedAttempt) -> None:
        """Note that the attempt was cancelled."""
        self.cancelled.append(started.spec.attempt_id)

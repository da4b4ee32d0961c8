"""The pool of a run's devices: leases here, everything about Ray in the broker."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.broker_process import BrokerLostError, BrokerProcess
from harness.cluster.files import write_files
from harness.cluster.interface import Loss, StartedAttempt
from harness.cluster.leases import Leases
from harness.cluster.members import Gang, Member
from harness.cluster.messages import (
    ActorRestarted,
    AttemptEnded,
    AttemptEvents,
    AttemptLost,
    CancelAttempt,
    MemberDescription,
    PoolSettings,
    RayLost,
    Ready,
    Refused,
    Report,
    RestartActor,
    StartAttempt,
    Warm,
    Warmed,
)
from harness.cluster.recovery import MAX_RAY_RESTARTS, Recovery
from harness.core.errors import NoDeviceError
from harness.core.events import Event

_WARM_WAIT_S = 210.0


@dataclass(slots=True)
class _Flight:
    """What is known of an attempt under way."""

    number: int
    events: list[tuple[int, Event]] = field(default_factory=list)
    outcome: AttemptRecord | Loss | None = None


class Pool(Leases):
    """The devices of a run. A `DevicePool`."""

    def __init__(self, settings: PoolSettings, broker: BrokerProcess | None = None) -> None:
        """Start the broker and return at once; `wait_until_ready` before anything else.

        broker: one that was started with the same address, and is now this pool's.
        """
        super().__init__([])
        self._settings = settings
        self._recovery = Recovery(self.members)
        self._posts: list[Member] = []
        self._flights: dict[StartedAttempt, _Flight] = {}
        self._numbers = count(1)
        self._warming: tuple[int, ...] = ()
        self._is_ready = False
        self._ray_restarts = 0
        self._broker: BrokerProcess | None = None
        self._open_broker(broker or BrokerProcess(settings.address))

    def wait_until_ready(self) -> None:
        """Wait until every device has its actor.

        Raise NoDeviceError if the cluster has no device or Ray does not start, UsageError if the
        address is refused.
        """
        while not self._is_ready:
            if self._broker is None:
                raise NoDeviceError("; ".join(self._recovery.notices) or "Ray does not start")
            self._listen(1.0)

    def close(self) -> None:
        """End the broker, and with it Ray, every actor and every attempt."""
        if self._broker is not None:
            self._broker.close()

    def warm(self, tp: int) -> None:
        """Have the actors that lead gangs of `tp` start their zygotes, and wait for them."""
        self._warming = tuple(self._posts.index(one) for one in self.choose_leaders(tp))
        self._send(Warm(self._warming))
        deadline = time.monotonic() + _WARM_WAIT_S
        while self._warming and self._broker and time.monotonic() < deadline:
            self._listen(1.0)

    def start(self, gang: Gang, spec: AttemptSpec) -> StartedAttempt:
        """Have every member prove its device clean, then start the attempt."""
        started = StartedAttempt(gang, spec)
        flight = self._flights[started] = _Flight(next(self._numbers))
        numbers = tuple(self._posts.index(member) for member in gang.members)
        self._send(StartAttempt(flight.number, numbers, spec))
        return started

    def wait(self, started: Sequence[StartedAttempt], timeout_s: float) -> list[StartedAttempt]:
        """Return those that have ended; wait up to `timeout_s` for the first one."""
        deadline = time.monotonic() + timeout_s
        self._listen(0.0)
        while not (ended := [one for one in started if self._flights[one].outcome]):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._listen(left)
        return ended

    def collect(self, started: StartedAttempt) -> AttemptRecord | Loss:
        """Wait for the record of an attempt, or how it was lost."""
        while (outcome := self._flights[started].outcome) is None:
            self._listen(1.0)
        del self._flights[started]
        return outcome

    def take_events(self, started: StartedAttempt) -> list[tuple[int, Event]]:
        """Return rank and event of what the attempt has sent since the last call."""
        flight = self._flights[started]
        events, flight.events = flight.events, []
        return events

    def take_notices(self) -> list[str]:
        """Return what happened to devices, actors and nodes since the last call."""
        return self._recovery.take_notices()

    def cancel(self, started: StartedAttempt) -> None:
        """End the attempt in flight. Its record arrives as usual."""
        self._send(CancelAttempt(self._flights[started].number))

    # --- what the broker reports ---

    def _listen(self, timeout_s: float) -> None:
        if self._broker is None:
            time.sleep(min(timeout_s, 0.05))
            return
        try:
            for report in self._broker.receive(timeout_s):
                self._take(report)
        except BrokerLostError as error:
            self._lose_ray(str(error))

    def _take(self, report: Report) -> None:
        match report:
            case Ready(members):
                self._take_members(members)
            case Refused(error):
                raise error
            case RayLost(reason):
                self._lose_ray(reason)
            case Warmed():
                self._warming = ()
            case AttemptEvents() | AttemptEnded() | AttemptLost():
                self._take_attempt(report)
            case ActorRestarted(number, fault):
                self._recovery.end_restart(self._posts[number], fault)

    def _take_attempt(self, report: AttemptEvents | AttemptEnded | AttemptLost) -> None:
        found = [(s, f) for s, f in self._flights.items() if f.number == report.number]
        for started, flight in found:  # none, if Ray was restarted meanwhile
            match report:
                case AttemptEvents(_, events):
                    flight.events += events
                case AttemptEnded():
                    flight.outcome = self._accept_record(started, report)
                case AttemptLost():
                    flight.outcome = Loss(report.reason, report.before_start, report.detail)
                    self._recover(started.gang, report)

    def _accept_record(self, started: StartedAttempt, report: AttemptEnded) -> AttemptRecord | Loss:
        for member in started.gang.members:
            member.losses = 0
        try:
            write_files(started.spec.folder, report.files)
        except (OSError, ValueError) as error:
            return Loss(f"the attempt's files cannot be written here: {error}", before_start=False)
        return report.record

    def _recover(self, gang: Gang, lost: AttemptLost) -> None:
        for number, reason in lost.unclean.items():
            self._recovery.quarantine(self._posts[number], reason)
        for number in lost.dead:
            if self._recovery.begin_restart(self._posts[number], lost.reason):
                self._send(RestartActor(number))
        if lost.unusable:
            self._recovery.quarantine_node(gang.leader, lost.unusable)

    def _take_members(self, described: Sequence[MemberDescription]) -> None:
        """Take the members of a first start, or match them to the known ones after a restart."""
        is_private = self._settings.address is None
        self._posts = []
        for one in described:
            known = self._recovery.match_member(one.device, one.node, is_private, self._posts)
            member = known or Member(one.device, one.node, one.host)
            if known is None:
                self.members.append(member)
            self._posts.append(member)
        for member in self.members:
            if member.recovering:
                self._recovery.quarantine(member, "it is not there any more")
        self._is_ready = True

    # --- a Ray that no longer works ---

    def _send(
        self, request: PoolSettings | Warm | StartAttempt | CancelAttempt | RestartActor
    ) -> None:
        if self._broker is None:
            self._lose_attempts("Ray is gone")
            return
        try:
            self._broker.send(request)
        except BrokerLostError as error:
            self._lose_ray(str(error))

    def _lose_ray(self, reason: str) -> None:
        """End this Ray, count its attempts as lost, and start another within bounds."""
        if self._broker is not None:
            self._broker.kill()
            self._broker = None
        self._lose_attempts(f"Ray was lost: {reason}")
        self._warming = ()
        self._ray_restarts += 1
        again = self._ray_restarts <= MAX_RAY_RESTARTS
        self._recovery.lose_ray(reason, again)
        if again:
            self._open_broker(BrokerProcess(self._settings.address))

    def _open_broker(self, broker: BrokerProcess) -> None:
        self._broker = broker
        self._send(self._settings)

    def _lose_attempts(self, reason: str) -> None:
        for started, flight in self._flights.items():
            before_start = not started.spec.folder.exists()
            flight.outcome = flight.outcome or Loss(reason, before_start)


@contextlib.contextmanager
def open_pool(settings: PoolSettings, broker: BrokerProcess | None = None) -> Iterator[Pool]:
    """Start or join Ray, start one actor per device, and take all down at the end.

    broker: one that was started in advance, with the same address.

    Raise NoDeviceError if the cluster has no such device, UsageError if the address is refused.
    """
    pool = Pool(settings, broker)
    try:
        pool.wait_until_ready()
        yield pool
    finally:
        pool.close()

"""What the driver and its broker say to each other. Members are named by their number."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.devices import Device, DeviceKind
from harness.core.errors import HarnessError
from harness.core.events import Event

# --- the driver asks ---


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What devices a run wants, and how their actors start attempts. The first message."""

    kind: DeviceKind
    slots: int
    """CPU slots of each node."""
    supervisor: SupervisorSettings
    address: str | None = None
    """The cluster to join; None: a Ray of this run's own."""
    needed: int = 1
    """Devices that one node must have free before the run can begin."""
    shares: int = 1
    """Gangs that share one GPU."""


@dataclass(frozen=True, slots=True)
class Warm:
    """Have these members' actors start their zygotes."""

    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start an attempt on these members; `number` names it from now on."""

    number: int
    members: tuple[int, ...]
    spec: AttemptSpec


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """End an attempt in flight."""

    number: int


@dataclass(frozen=True, slots=True)
class RestartActor:
    """End a member's actor for certain and start a fresh one on the same device."""

    member: int


@dataclass(frozen=True, slots=True)
class Close:
    """End all actors and leave."""


Request = Warm | StartAttempt | CancelAttempt | RestartActor | Close


# --- the broker reports ---


@dataclass(frozen=True, slots=True)
class MemberDescription:
    """One device of the pool, as the broker found it."""

    device: Device
    node: str
    host: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Every actor runs."""

    members: tuple[MemberDescription, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The pool cannot be opened."""

    error: HarnessError


@dataclass(frozen=True, slots=True)
class Warmed:
    """The zygotes asked for are ready, or will not come."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The broker runs, and Ray answers it."""


@dataclass(frozen=True, slots=True)
class RayLost:
    """Ray no longer answers."""

    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEvents:
    """What an attempt's ranks have sent since the last report."""

    number: int
    events: list[tuple[int, Event]]


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt's record, and its files if it ran on another machine."""

    number: int
    record: AttemptRecord
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """An attempt that will have no record, and which parts are to blame."""

    number: int
    reason: str
    before_start: bool
    detail: str = ""
    unclean: Mapping[int, str] = field(default_factory=dict)
    """Members whose devices are not clean, and why."""
    dead: tuple[int, ...] = ()
    """Members whose actors are gone or do not answer."""
    unusable: str | None = None
    """Why the leader's whole node cannot run the attempt."""


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """A fresh actor runs on the member's device; or why none does."""

    member: int
    fault: str | None


Report = (
    Ready
    | Refused
    | Warmed
    | Alive
    | RayLost
    | AttemptEvents
    | AttemptEnded
    | AttemptLost
    | ActorRestarted
)

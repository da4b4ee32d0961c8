"""What the driver asks of a pool of devices. The driver types against this, and tests fake it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.members import Gang, Member
from harness.core.events import Event


@dataclass(frozen=True, slots=True, eq=False)
class StartedAttempt:
    """An attempt under way on a gang."""

    gang: Gang
    spec: AttemptSpec


@dataclass(frozen=True, slots=True)
class Loss:
    """An attempt without a record, because a part of the cluster failed."""

    reason: str
    """One line: what was lost, and why."""
    before_start: bool
    """No process of its suite can have started: it may be leased again."""
    detail: str = ""
    """The whole text of an error, for the store."""

    def describe(self) -> str:
        """Return the reason, and below it all that is known of it."""
        return f"{self.reason}\n{self.detail}" if self.detail else self.reason


class DevicePool(Protocol):
    """The devices of a run. No method waits without a deadline."""

    @property
    def members(self) -> Sequence[Member]:
        """Every device, quarantined ones included."""

    def largest_gang(self) -> int:
        """Return the greatest tp that one node's devices allow, quarantined ones left out."""

    def warm(self, tp: int) -> None:
        """Have the actors that lead gangs of `tp` start their zygotes."""

    def lease(self, tp: int) -> Gang | None:
        """Lease `tp` free, healthy devices of one node. Return None while there are too few."""

    def lease_devices(self, ids: Sequence[str]) -> Gang | None:
        """Lease exactly these devices. Return None if one is not free."""

    def release(self, gang: Gang) -> None:
        """Give the gang's devices back."""

    def start(self, gang: Gang, spec: AttemptSpec) -> StartedAttempt:
        """Have every member prove its device clean, then start the attempt."""

    def wait(self, started: Sequence[StartedAttempt], timeout_s: float) -> list[StartedAttempt]:
        """Return those that have ended; wait up to `timeout_s` for the first one."""

    def collect(self, started: StartedAttempt) -> AttemptRecord | Loss:
        """Return the record of an attempt that has ended, or how it was lost."""

    def take_events(self, started: StartedAttempt) -> list[tuple[int, Event]]:
        """Return rank and event of what the attempt has sent since the last call."""

    def take_notices(self) -> list[str]:
        """Return what happened to devices, actors and nodes since the last call, for people."""

    def cancel(self, started: StartedAttempt) -> None:
        """End the attempt in flight. Its record arrives as usual."""

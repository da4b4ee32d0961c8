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


class DevicePool(Protocol):
    """The devices of a run."""

    @property
    def members(self) -> Sequence[Member]:
        """Every device, quarantined ones included."""

    def largest_gang(self) -> int:
        """Return the greatest tp that one node's healthy devices allow."""

    def warm(self, tp: int) -> None:
        """Start the zygotes of the actors that lead gangs of `tp`, and wait for them."""

    def lease(self, tp: int) -> Gang | None:
        """Lease `tp` free, healthy devices of one node. Return None while there are too few."""

    def lease_devices(self, ids: Sequence[str]) -> Gang | None:
        """Lease exactly these devices. Return None if one is not free."""

    def release(self, gang: Gang) -> None:
        """Give the gang's devices back."""

    def check_devices(self, gang: Gang) -> dict[str, str]:
        """Return device id and reason for each device that is not clean, and quarantine these."""

    def start(self, gang: Gang, spec: AttemptSpec) -> StartedAttempt:
        """Start an attempt on the gang."""

    def wait(self, started: Sequence[StartedAttempt], timeout_s: float) -> list[StartedAttempt]:
        """Return those that have ended; wait up to `timeout_s` for the first one."""

    def collect(self, started: StartedAttempt) -> AttemptRecord | str:
        """Return the ended attempt's record, or why there is none."""

    def read_events(self, started: StartedAttempt, start: int) -> list[tuple[int, Event]]:
        """Return rank and event of what the attempt has sent so far, from number `start` on."""

    def cancel(self, started: StartedAttempt) -> None:
        """End the attempt in flight. Its record arrives as usual."""

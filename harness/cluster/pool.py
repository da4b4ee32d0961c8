"""The pool of a run's devices on Ray: leases in, records out."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray.exceptions import RayActorError, RayError

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.calls import (
    ActorHandle,
    Reference,
    describe_loss,
    first_line,
    wait_for_all,
    wait_for_any,
)
from harness.cluster.connection import connect, disconnect
from harness.cluster.devices import DeviceKind
from harness.cluster.interface import StartedAttempt
from harness.cluster.leases import Leases
from harness.cluster.members import Gang, Member
from harness.cluster.placement import ACTOR_WAIT_S, start_actors
from harness.core.events import Event

_EVENTS_WAIT_S = 1.0
_CLOSE_WAIT_S = 10.0


class RayPool(Leases):
    """The devices of a run, one Ray actor each. A `DevicePool`."""

    def __init__(self, actors: Mapping[Member, ActorHandle]) -> None:
        super().__init__(list(actors))
        self._actors = actors
        self._answers: dict[StartedAttempt, Reference[AttemptRecord]] = {}

    def warm(self, tp: int) -> None:
        """Start the zygotes of the actors that lead gangs of `tp`, and wait for them."""
        leaders = self.choose_leaders(tp)
        wait_for_all([self._actors[leader].warm() for leader in leaders], ACTOR_WAIT_S)

    def check_devices(self, gang: Gang) -> dict[str, str]:
        """Return device id and reason for each device that is not clean, and quarantine these."""
        asked = {member: self._actors[member].check_device() for member in gang.members}
        for member, answer in asked.items():
            try:
                member.quarantined = answer.get(ACTOR_WAIT_S)
            except RayError as error:
                member.quarantined = describe_loss(error)
        return {m.device.id: m.quarantined for m in gang.members if m.quarantined}

    def start(self, gang: Gang, spec: AttemptSpec) -> StartedAttempt:
        """Start an attempt on the gang."""
        started = StartedAttempt(gang, spec)
        self._answers[started] = self._actors[gang.leader].run_attempt(spec)
        return started

    def wait(self, started: Sequence[StartedAttempt], timeout_s: float) -> list[StartedAttempt]:
        """Return those that have ended; wait up to `timeout_s` for the first one."""
        pending: list[Reference[Any]] = [self._answers[one] for one in started]
        ready = wait_for_any(pending, timeout_s)
        return [one for one in started if self._answers[one] in ready]

    def collect(self, started: StartedAttempt) -> AttemptRecord | str:
        """Wait for the attempt's record. Return why there is none, if its actor is lost.

        A dead actor's device is quarantined.
        """
        answer = self._answers.pop(started)
        try:
            return answer.get(ACTOR_WAIT_S + started.spec.timeout_s)
        except RayActorError as error:
            reason = f"device actor lost: {first_line(error)}"
            started.gang.leader.quarantined = reason
            return reason
        except RayError as error:
            return f"supervisor failed: {first_line(error)}"

    def read_events(self, started: StartedAttempt, start: int) -> list[tuple[int, Event]]:
        """Return what the attempt has sent, from number `start` on; nothing if it cannot say."""
        try:
            return self._actors[started.gang.leader].read_events(start).get(_EVENTS_WAIT_S)
        except RayError:
            return []

    def cancel(self, started: StartedAttempt) -> None:
        """End the attempt in flight. Its record arrives as usual."""
        with contextlib.suppress(RayError):
            self._actors[started.gang.leader].cancel()


@contextlib.contextmanager
def open_pool(
    kind: DeviceKind, slots: int, address: str | None, settings: SupervisorSettings
) -> Iterator[RayPool]:
    """Start or join Ray, start one actor per device, and take all down at the end.

    Raise NoDeviceError if the cluster has no such device, UsageError if the address does not
    answer.
    """
    connect(kind, slots, address)
    actors: dict[Member, ActorHandle] = {}
    try:
        actors.update(start_actors(kind, slots, settings))
        yield RayPool(actors)
    finally:
        _close(list(actors.values()))
        disconnect()


def _close(actors: list[ActorHandle]) -> None:
    wait_for_all([actor.close() for actor in actors], _CLOSE_WAIT_S)
    for actor in actors:
        with contextlib.suppress(RayError, ValueError):
            actor.kill()

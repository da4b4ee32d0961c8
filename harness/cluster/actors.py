"""Typed calls to device actors, and how a reservation's actors are started.

Each call returns a reference at once. Whoever waits for it states a deadline.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptSpec
from harness.cluster.actor import AttemptOutcome, DeviceActor
from harness.cluster.members import SEE_ALL_GPUS, ActorDescription
from harness.cluster.reservation import Reservation, Slot
from harness.core.events import Event

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Reference(Generic[Answer]):
    """A pending answer."""

    object_ref: Any  # ray.ObjectRef, which ray leaves untyped

    async def get(self, timeout_s: float) -> Answer:
        """Return the answer. Raise RayError, or TimeoutError if it takes longer."""
        return await asyncio.wait_for(self.start_waiting(), timeout_s)

    def start_waiting(self) -> "asyncio.Future[Answer]":
        """Return a future of the running loop."""
        future: asyncio.Future[Answer] = asyncio.wrap_future(self.object_ref.future())
        return future


class ActorHandle:
    """One device actor, seen from another process."""

    def __init__(self, handle: Any) -> None:  # ray's handles take their methods from a string
        self._handle = handle

    def describe(self) -> Reference[ActorDescription]:
        """Ask which device the actor owns and where it runs."""
        return Reference(self._handle.describe.remote())

    def check_device(self) -> Reference[str | None]:
        """Ask why the device may not be used; None if it is clean."""
        return Reference(self._handle.check_device.remote())

    def warm(self) -> Reference[None]:
        """Ask for a zygote that is ready."""
        return Reference(self._handle.warm.remote())

    def run_attempt(self, spec: AttemptSpec, is_remote: bool) -> Reference[AttemptOutcome]:
        """Start an attempt that this actor leads; the answer comes when it has ended."""
        return Reference(self._handle.run_attempt.remote(spec, is_remote))

    def read_events(self, start: int) -> Reference[list[tuple[int, Event]]]:
        """Ask for the events of the attempt in flight, from number `start` on."""
        return Reference(self._handle.read_events.remote(start))

    def cancel(self) -> Reference[None]:
        """Ask the actor to end the attempt in flight."""
        return Reference(self._handle.cancel.remote())

    def close(self) -> Reference[None]:
        """Ask the actor to end its keepers, and whatever is below them."""
        return Reference(self._handle.close.remote())

    def kill(self) -> None:
        """End the actor's process. May wait for Ray."""
        ray.kill(self._handle)


def start_actor(
    reservation: Reservation,
    slot: Slot,
    settings: SupervisorSettings,
    baseline_bytes: int | None = None,
) -> ActorHandle:
    """Start an actor in its bundle of the reservation. May wait for Ray.

    baseline_bytes: the GPU's memory in use before the run, if a predecessor measured it.
    """
    # No restarts and no retries by Ray: a silently repeated attempt would hide a failure.
    options = ray.remote(DeviceActor).options(
        num_cpus=0 if slot.device is None else 1,
        num_gpus=1 / reservation.shares if slot.device is None else 0,
        max_restarts=0,
        max_task_retries=0,
        max_concurrency=4,
        scheduling_strategy=PlacementGroupSchedulingStrategy(
            reservation.group, placement_group_bundle_index=slot.bundle
        ),
        # An actor with an environment of its own gets none of the workers that wait already.
        runtime_env=None if reservation.is_private else {"env_vars": SEE_ALL_GPUS},
    )
    return ActorHandle(options.remote(slot.device, settings, baseline_bytes, reservation.shares))

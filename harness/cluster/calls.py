"""Typed calls to device actors: each returns a reference, and each wait has a deadline."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.members import ActorDescription
from harness.core.events import Event

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class Reference(Generic[Answer]):
    """A pending answer."""

    object_ref: Any  # ray.ObjectRef, which ray leaves untyped

    def get(self, timeout_s: float) -> Answer:
        """Return the answer. Raise RayError if the actor is lost or takes longer."""
        answer: Answer = ray.get(self.object_ref, timeout=timeout_s)
        return answer


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

    def run_attempt(self, spec: AttemptSpec) -> Reference[AttemptRecord]:
        """Start an attempt that this actor leads; the answer comes when it has ended."""
        return Reference(self._handle.run_attempt.remote(spec))

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
        """End the actor's process."""
        ray.kill(self._handle)


def wait_for_any(references: list[Reference[Any]], timeout_s: float) -> set[Reference[Any]]:
    """Return all that are ready now; if none is, wait up to `timeout_s` for the first."""
    by_object = {reference.object_ref: reference for reference in references}
    if not by_object:
        return set()
    waiting = list(by_object)
    ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
    if not ready:
        ready, _ = ray.wait(waiting, num_returns=1, timeout=timeout_s)
    return {by_object[one] for one in ready}


def wait_for_all(references: list[Reference[Any]], timeout_s: float) -> None:
    """Wait until all are ready, or `timeout_s` have passed."""
    if references:
        waiting = [reference.object_ref for reference in references]
        ray.wait(waiting, num_returns=len(waiting), timeout=timeout_s)


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, at most 300 characters."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def describe_loss(error: RayError) -> str:
    """Return one line that says why an actor does not answer."""
    return f"its actor is lost ({first_line(error)})"

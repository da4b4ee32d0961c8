"""The device actors of a run, as the broker holds them: one post per device."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError

from harness.cluster import leftovers
from harness.cluster.actors import ActorHandle, start_actor
from harness.cluster.connection import connect
from harness.cluster.members import ActorDescription
from harness.cluster.messages import PoolSettings
from harness.cluster.reservation import Reservation, Slot, reserve
from harness.cluster.wording import clean_line
from harness.core.errors import NoDeviceError

#: How long an actor may take to start, and to end.
START_WAIT_S = 60.0
RESTART_WAIT_S = 25.0
_KILL_WAIT_S = 3.0
_CLOSE_WAIT_S = 1.0
_LEAVE_WAIT_S = 1.0


@dataclass(slots=True)
class Post:
    """A device's slot, and the actor that now serves it."""

    slot: Slot
    actor: ActorHandle
    described: ActorDescription


class Crew:
    """All posts of a run."""

    def __init__(
        self, settings: PoolSettings, reservation: Reservation, posts: Sequence[Post]
    ) -> None:
        self._settings = settings
        self._reservation = reservation
        self.posts = posts
        self._own_node: str = ray.get_runtime_context().get_node_id()
        self._stopped: set[str] = set()

    @classmethod
    async def muster(cls, settings: PoolSettings, folder: Path) -> "Crew":
        """Connect, reserve the devices and start an actor on each.

        Raise UsageError if the address is refused, NoDeviceError if there is no device or an actor
        does not come up.
        """
        connect(settings, folder)
        reservation = reserve(settings)
        actors = [start_actor(reservation, slot, settings.supervisor) for slot in reservation.slots]
        described = [await _await_actor(actor) for actor in actors]
        posts = map(Post, reservation.slots, actors, described)
        return cls(settings, reservation, list(posts))

    def actor(self, member: int) -> ActorHandle:
        """Return the member's actor."""
        return self.posts[member].actor

    def is_here(self, member: int) -> bool:
        """Return whether the member is on the driver's own node, and so shares its files."""
        return self.posts[member].slot.node == self._own_node

    async def restart(self, member: int) -> str | None:
        """Put a fresh actor on the member's post. Return why there is none, or None."""
        post = self.posts[member]
        await self._kill(post)
        try:
            if post.slot.node in await self._find_dead_nodes(RESTART_WAIT_S):
                return "its node is lost"
            post.actor = await asyncio.wait_for(
                asyncio.to_thread(
                    start_actor,
                    self._reservation,
                    post.slot,
                    self._settings.supervisor,
                    post.described.baseline_bytes,
                ),
                RESTART_WAIT_S,
            )
            post.described = await post.actor.describe().get(RESTART_WAIT_S)
            return await post.actor.check_device().get(RESTART_WAIT_S)
        except TimeoutError:
            return f"no fresh actor came up within {RESTART_WAIT_S:g} s"
        except RayError as error:
            return f"no fresh actor came up: {clean_line(str(error))}"

    async def find_silence(self, timeout_s: float) -> str | None:
        """Return which part of Ray no longer works, None if all answer."""
        try:
            dead = await self._find_dead_nodes(timeout_s)
        except (TimeoutError, RayError):
            return self._name_silence(f"Ray has not answered for {timeout_s:g} s")
        if self._own_node in dead:
            return self._name_silence("this machine's raylet is dead")
        return self._find_stopped()

    async def close(self) -> None:
        """Leave a joined cluster: end actors and reservation, as far as they answer soon."""
        pending = [post.actor.close().get(_CLOSE_WAIT_S) for post in self.posts]
        await asyncio.gather(*pending, return_exceptions=True)
        await _give_up_after(_LEAVE_WAIT_S, asyncio.to_thread(self._leave))

    async def _find_dead_nodes(self, timeout_s: float) -> set[str]:
        nodes = await asyncio.wait_for(asyncio.to_thread(ray.nodes), timeout_s)
        return {node["NodeID"] for node in nodes if not node["Alive"]}

    def _leave(self) -> None:
        self._reservation.release()
        ray.shutdown()

    async def _kill(self, post: Post) -> None:
        if post.slot.node == self._own_node:
            # Ray may be what has stopped; a process of this machine can be ended without it.
            leftovers.kill_below(post.described.pid)
            with suppress(ProcessLookupError):
                os.kill(post.described.pid, signal.SIGKILL)
        await _give_up_after(_KILL_WAIT_S, asyncio.to_thread(post.actor.kill))

    def _find_stopped(self) -> str | None:
        """Return a process of Ray's own that is stopped, if it was at the last look too."""
        stopped = set() if self._settings.address else leftovers.find_stopped_servers(os.getpid())
        both, self._stopped = stopped & self._stopped, stopped
        return f"{', '.join(sorted(both))} stopped" if both else None

    def _name_silence(self, reason: str) -> str:
        stopped = leftovers.find_stopped_servers(os.getpid())
        return f"{reason} ({', '.join(sorted(stopped))} stopped)" if stopped else reason


async def _await_actor(actor: ActorHandle) -> ActorDescription:
    try:
        return await actor.describe().get(START_WAIT_S)
    except TimeoutError:
        raise NoDeviceError(f"a device's actor did not start within {START_WAIT_S:g} s") from None
    except RayError as error:
        raise NoDeviceError(f"a device's actor did not start: {clean_line(str(error))}") from None


async def _give_up_after(timeout_s: float, work: Awaitable[object]) -> None:
    with suppress(TimeoutError, RayError, ValueError):
        await asyncio.wait_for(work, timeout_s)

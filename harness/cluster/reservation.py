"""One placement group holds the run's devices, a bundle each, so that other users see it.

Gangs are leases of our own inside it; actors, restarted ones too, run in their device's bundle.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import ray
from ray._private import state as ray_state  # public names give sums over the cluster only
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from harness.cluster.devices import Device, DeviceKind, make_cpu_slots
from harness.cluster.messages import PoolSettings
from harness.core.errors import NoDeviceError

#: How long to wait for devices that somebody else holds.
RESERVE_WAIT_S = 20.0
_PLACE_WAIT_S = 10.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Node:
    """A live node: how many devices of the wanted kind it has, and how many are free."""

    id: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one actor. `device` is None for a GPU: Ray says which one it is."""

    node: str
    bundle: int
    device: Device | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """The devices that are ours until the placement group is removed."""

    group: PlacementGroup
    slots: tuple[Slot, ...]
    shares: int
    is_private: bool
    """The nodes are of a Ray of this run's own."""

    def release(self) -> None:
        """Give the devices back. May wait for Ray."""
        remove_placement_group(self.group)


def reserve(settings: PoolSettings) -> Reservation:
    """Reserve every free device, at most `settings.slots` CPU slots a node.

    Wait up to RESERVE_WAIT_S until one node has `settings.needed` free. Raise NoDeviceError if
    none comes to have them, naming who holds what.
    """
    deadline = time.monotonic() + RESERVE_WAIT_S
    while True:
        nodes = [_limit(node, settings) for node in find_nodes(settings.kind)]
        if max((node.total for node in nodes), default=0) < settings.needed:
            raise NoDeviceError(_explain_shortage(nodes, settings))
        if max(node.free for node in nodes) >= settings.needed:
            group = _place(nodes, settings.kind)
            if group is not None:
                slots = _make_slots(nodes, settings)
                return Reservation(group, slots, settings.shares, settings.address is None)
        if time.monotonic() > deadline:
            raise NoDeviceError(_explain_shortage(nodes, settings))
        time.sleep(_LOOK_S)


def find_nodes(kind: DeviceKind) -> list[Node]:
    """Return the live nodes with what they have of this kind of device."""
    resource = "GPU" if kind == "cuda" else "CPU"
    free = ray_state.available_resources_per_node()  # type: ignore[no-untyped-call]
    totals = ray_state.total_resources_per_node()  # type: ignore[no-untyped-call]
    return [
        Node(node, int(total.get(resource, 0)), int(free.get(node, {}).get(resource, 0)))
        for node, total in totals.items()
    ]


def _limit(node: Node, settings: PoolSettings) -> Node:
    limit = settings.slots if settings.kind == "cpu" else node.total
    return Node(node.id, min(node.total, limit), min(node.free, limit))


def _place(nodes: Sequence[Node], kind: DeviceKind) -> PlacementGroup | None:
    """Return the placement group; None if somebody else was faster."""
    bundle = {"CPU": 1.0} if kind == "cpu" else {"GPU": 1.0}
    places = [{"ray.io/node-id": node.id} for node in nodes for _ in range(node.free)]
    group: PlacementGroup = placement_group(
        [bundle] * len(places), "PACK", bundle_label_selector=places
    )
    if group.wait(_PLACE_WAIT_S):
        return group
    remove_placement_group(group)
    return None


def _make_slots(nodes: Sequence[Node], settings: PoolSettings) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    bundle = 0
    for node in nodes:
        names: Sequence[Device | None] = (
            make_cpu_slots(node.free) if settings.kind == "cpu" else [None] * node.free
        )
        for name in names:
            slots += [Slot(node.id, bundle, name)] * settings.shares
            bundle += 1
    return tuple(slots)


def _explain_shortage(nodes: Sequence[Node], settings: PoolSettings) -> str:
    kind = "GPU" if settings.kind == "cuda" else "CPU slot"
    held = "; ".join(f"node {n.id[:8]} has {n.free} of {n.total} free" for n in nodes if n.total)
    return (
        f"no node has {settings.needed} free {kind}s ({held or 'the cluster has none'}). "
        f"Held by: {_list_holders() or 'nobody that Ray can name'}. "
        "Wait for it, ask for less with --tp or --slots, or see `harness doctor`"
    )


def _list_holders() -> str:
    own = ray.get_runtime_context().get_job_id()
    known = ray_state.jobs()  # type: ignore[no-untyped-call]
    jobs = [job for job in known if not job["IsDead"] and job["JobID"] != own]
    return "; ".join(
        f"job {job['JobID']} ({job['Entrypoint'] or '?'} at {job['DriverIPAddress']}, "
        f"pid {job['DriverPid']})"
        for job in jobs
    )

"""Start one actor per device of the cluster."""

from collections.abc import Iterator
from dataclasses import dataclass

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.attempt.settings import SupervisorSettings
from harness.cluster.actor import DeviceActor
from harness.cluster.calls import ActorHandle, first_line
from harness.cluster.devices import Device, DeviceKind, find_gpus, make_cpu_slots
from harness.cluster.members import Member
from harness.core.errors import NoDeviceError

#: How long an actor may take to start.
ACTOR_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    cpus: int
    gpus: int


def start_actors(
    kind: DeviceKind, slots: int, settings: SupervisorSettings
) -> dict[Member, ActorHandle]:
    """Start one actor per device, at most `slots` CPU slots a node, and wait for all.

    Raise NoDeviceError if the cluster has no such device, or an actor does not come up.
    """
    starting = [
        (node, device, _start_actor(node.id, device, settings))
        for node in _live_nodes()
        for device in _list_devices_of_node(node, kind, slots)
    ]
    if not starting:
        raise NoDeviceError(f"the cluster offers no {kind} device; see `harness doctor`")
    return {_await_member(node, device, actor): actor for node, device, actor in starting}


def _live_nodes() -> Iterator[_Node]:
    for node in ray.nodes():  # type: ignore[no-untyped-call] # ray leaves it out
        if node["Alive"]:
            resources = node["Resources"]
            cpus, gpu_count = (int(resources.get(name, 0)) for name in ("CPU", "GPU"))
            yield _Node(node["NodeID"], cpus, gpu_count)


def _list_devices_of_node(node: _Node, kind: DeviceKind, slots: int) -> list[Device]:
    if kind == "cpu":
        return make_cpu_slots(min(slots, node.cpus))
    remote = ray.remote(num_cpus=0)(find_gpus).options(scheduling_strategy=_on_node(node.id))
    found: list[Device] = ray.get(remote.remote(), timeout=ACTOR_WAIT_S)[0]
    return found[: node.gpus]


def _await_member(node: _Node, device: Device, actor: ActorHandle) -> Member:
    try:
        described = actor.describe().get(ACTOR_WAIT_S)
    except RayError as error:
        raise NoDeviceError(f"no actor for device {device.id}: {first_line(error)}") from None
    return Member(described.device, node.id, described.host)


def _on_node(node_id: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)


def _start_actor(node_id: str, device: Device, settings: SupervisorSettings) -> ActorHandle:
    resources = {"num_gpus": 1, "num_cpus": 0} if device.kind == "cuda" else {"num_cpus": 1}
    # No restarts and no retries by Ray: a silently repeated attempt would hide a failure.
    options = ray.remote(DeviceActor).options(
        **resources,
        max_restarts=0,
        max_task_retries=0,
        max_concurrency=4,
        scheduling_strategy=_on_node(node_id),
        runtime_env={"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}},
    )
    return ActorHandle(options.remote(device, settings))

"""Ray: starts or joins a cluster, one actor per device, leases gangs. The only import of ray."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Read once, as ray is imported: set later it has no effect.
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.cluster.actor import DeviceActor
from harness.cluster.devices import Device, cpu_slots, gpus
from harness.core.errors import NoDeviceError, UsageError

#: How long a Ray address may take to answer, and an actor to start.
ADDRESS_WAIT_S = 10.0
ACTOR_WAIT_S = 60.0

#: Only small messages travel: events and log tails. Containers give little shared memory.
_OBJECT_STORE_BYTES = 100 << 20


@dataclass(slots=True)
class Member:
    """One device with its actor, as the driver sees it."""

    device: Device
    node: str
    actor: Any
    quarantined: str | None = None
    leased: bool = False


@dataclass(frozen=True, slots=True)
class Gang:
    """The members leased together for one attempt, in rank order; the first leads."""

    members: tuple[Member, ...]

    @property
    def leader(self) -> Any:
        """The actor that starts and supervises every rank."""
        return self.members[0].actor


class Pool:
    """The devices of a run."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members

    def largest_gang(self) -> int:
        """The greatest tp that one node's healthy devices allow."""
        nodes = [m.node for m in self.members if not m.quarantined]
        return max((nodes.count(node) for node in nodes), default=0)

    def warm(self, tp: int) -> None:
        """Have the actors that lead gangs of `tp` start their zygotes, and wait for them."""
        by_node: dict[str, list[Member]] = {}
        for member in self.members:
            by_node.setdefault(member.node, []).append(member)
        leaders = [m for free in by_node.values() for m in free[::tp]]
        warming = [leader.actor.warm.remote() for leader in leaders]
        ray.wait(warming, num_returns=len(warming), timeout=ACTOR_WAIT_S)

    def lease(self, tp: int) -> Gang | None:
        """Lease `tp` free, healthy devices of one node; None while there are not enough."""
        by_node: dict[str, list[Member]] = {}
        for member in self.members:
            if not member.leased and not member.quarantined:
                by_node.setdefault(member.node, []).append(member)
        for free in by_node.values():
            if len(free) >= tp:
                gang = Gang(tuple(free[:tp]))
                for member in gang.members:
                    member.leased = True
                return gang
        return None

    def lease_devices(self, ids: list[str]) -> Gang | None:
        """Lease exactly these devices, for `harness rerun`; None where one is not free."""
        found = [m for i in ids for m in self.members if m.device.id == i]
        if len(found) != len(ids) or any(m.leased or m.quarantined for m in found):
            return None
        for member in found:
            member.leased = True
        return Gang(tuple(found))

    def release(self, gang: Gang) -> None:
        """Give the gang's devices back."""
        for member in gang.members:
            member.leased = False

    def unclean(self, gang: Gang) -> dict[str, str]:
        """Ask every member to prove its device clean. Device id to reason, empty where all are."""
        asked = [(member, member.actor.unclean.remote()) for member in gang.members]
        reasons: dict[str, str] = {}
        for member, answer in asked:
            try:
                reason = ray.get(answer, timeout=ACTOR_WAIT_S)
            except RayError as error:
                reason = f"its actor is lost ({_first_line(error)})"
            if reason:
                reasons[member.device.id] = reason
                member.quarantined = reason
        return reasons

    def start(self, gang: Gang, spec: AttemptSpec) -> Any:
        """Start the attempt; the reference is ready when it has ended."""
        return gang.leader.run_attempt.remote(spec)

    def wait(self, references: list[Any], timeout_s: float) -> list[Any]:
        """Those of the references that are ready within `timeout_s`, at least to look."""
        if not references:
            return []
        ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
        if not ready:
            ready, _ = ray.wait(references, num_returns=1, timeout=timeout_s)
        return list(ready)

    def collect(self, gang: Gang, reference: Any) -> AttemptRecord | str:
        """The attempt's record, or why there is none. A dead actor's device is quarantined."""
        try:
            record: AttemptRecord = ray.get(reference)
        except RayActorError as error:
            reason = f"device actor lost: {_first_line(error)}"
            gang.members[0].quarantined = reason
            return reason
        except RayError as error:
            return f"supervisor failed: {_first_line(error)}"
        return record

    def peek(self, gang: Gang, start: int) -> list[tuple[int, dict[str, Any]]]:
        """Events of the gang's attempt so far, from number `start` on; none if it cannot say."""
        try:
            events: list[tuple[int, dict[str, Any]]] = ray.get(
                gang.leader.peek.remote(start), timeout=1
            )
        except RayError:
            return []
        return events

    def cancel(self, gang: Gang) -> None:
        """End the gang's attempt in flight; its record arrives as usual."""
        with contextlib.suppress(RayError):
            gang.leader.cancel.remote()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


@contextlib.contextmanager
def open_pool(
    kind: str, slots: int, address: str | None, settings: SupervisorSettings
) -> Iterator[Pool]:
    """Start or join Ray, make one actor per device, and take all down at the end.

    kind: `cpu` or `cuda`. Raises NoDeviceError where the cluster has no such device, UsageError
    where the address does not answer.
    """
    # Ray puts the working directory first on its workers' import path, and it may be a checkout
    # under test, with a `harness` of its own: actors must be this one.
    with contextlib.chdir(Path(__file__).resolve().parents[2]):
        _connect(kind, slots, address)
    members: list[Member] = []
    try:
        members += _members(kind, slots, settings)
        yield Pool(members)
    finally:
        _close(members)
        ray.shutdown()


def _connect(kind: str, slots: int, address: str | None) -> None:
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        count = len(gpus()[0]) if kind == "cuda" else 0
        # A token of this run's own: nothing is written to the home folder, nobody else has it.
        # Ray starts its workers at nice 15, and the ranks below them would inherit it.
        os.environ.setdefault("RAY_worker_niceness", "0")
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        # A bare init would join whatever RAY_ADDRESS names.
        ray.init(
            address="local",
            num_cpus=max(slots, 1),
            num_gpus=count,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **common,
        )
        return
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, **common)
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        raise UsageError(f"--address {address}: {_first_line(error)}") from None


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--address {address!r}: write HOST:PORT or auto")
    try:
        socket.create_connection((host, int(port)), timeout=ADDRESS_WAIT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"--address {address} does not answer within {ADDRESS_WAIT_S:g} s ({error}); "
            "start it with `ray start --head`, or leave --address out for a private Ray"
        ) from None


def _members(kind: str, slots: int, settings: SupervisorSettings) -> list[Member]:
    starting = []
    for node in ray.nodes():  # type: ignore[no-untyped-call] # ray leaves it out
        if node["Alive"]:
            for device in _devices_of(node, kind, slots):
                starting.append((device, _actor(node["NodeID"], device, settings)))
    if not starting:
        raise NoDeviceError(f"the cluster offers no {kind} device; see `harness doctor`")
    members = []
    for device, actor in starting:
        try:
            told = ray.get(actor.describe.remote(), timeout=ACTOR_WAIT_S)
        except RayError as error:
            raise NoDeviceError(f"no actor for device {device.id}: {_first_line(error)}") from None
        members.append(Member(told["device"], told["node"], actor))
    return members


def _devices_of(node: dict[str, Any], kind: str, slots: int) -> list[Device]:
    resources = node["Resources"]
    if kind == "cpu":
        return cpu_slots(min(slots, int(resources.get("CPU", 0))))
    remote = ray.remote(num_cpus=0)(gpus).options(scheduling_strategy=_on(node["NodeID"]))
    found: list[Device] = ray.get(remote.remote(), timeout=ACTOR_WAIT_S)[0]
    return found[: int(resources.get("GPU", 0))]


def _on(node_id: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)


def _actor(node_id: str, device: Device, settings: SupervisorSettings) -> Any:
    resources = {"num_gpus": 1, "num_cpus": 0} if device.kind == "cuda" else {"num_cpus": 1}
    # No restarts and no retries: a silently repeated attempt would be a retry that hides a failure.
    return (
        ray.remote(DeviceActor)
        .options(
            **resources,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,
            scheduling_strategy=_on(node_id),
            runtime_env={"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}},
        )
        .remote(device, settings)
    )


def _close(members: list[Member]) -> None:
    closing = [member.actor.close.remote() for member in members]
    if closing:
        ray.wait(closing, num_returns=len(closing), timeout=10)
    for member in members:
        with contextlib.suppress(RayError, ValueError):
            ray.kill(member.actor)

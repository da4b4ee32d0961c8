"""Values about devices under lease: members, gangs, and what an actor says about itself."""

from dataclasses import dataclass

from harness.cluster.devices import Device

#: Of an actor's environment: Ray would hide the other GPUs of its node from it otherwise.
SEE_ALL_GPUS = {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}


@dataclass(frozen=True, slots=True)
class ActorDescription:
    """What a device actor says about itself once it runs."""

    device: Device
    host: str
    """Host name, for people. Two machines may have the same one."""
    pid: int
    baseline_bytes: int | None
    """Memory in use on a GPU before the run; None for a CPU slot."""


@dataclass(slots=True, eq=False)
class Member:
    """One device of the pool, and whether it may be leased."""

    device: Device
    node: str
    """Ray's node id: gangs are of one node, and host names may be equal."""
    host: str
    quarantined: str | None = None
    """Why the device is leased no more."""
    recovering: bool = False
    """Its actor is being started again."""
    leased: bool = False
    losses: int = 0
    """How often in a row its actor was lost, without an attempt that ended between."""

    @property
    def is_free(self) -> bool:
        """Whether the device may be leased now."""
        return not (self.leased or self.recovering or self.quarantined)


@dataclass(frozen=True, slots=True, eq=False)
class Gang:
    """The members leased together for one attempt, in rank order; the first one leads."""

    members: tuple[Member, ...]

    @property
    def leader(self) -> Member:
        """The member whose actor starts and supervises every rank."""
        return self.members[0]

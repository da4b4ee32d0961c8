"""Which devices are free, and which form a gang. Pure bookkeeping: no Ray."""

from collections.abc import Sequence

from harness.cluster.members import Gang, Member


class Leases:
    """The leases of a pool's members."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)

    def largest_gang(self) -> int:
        """Return the greatest number of devices on one node that are not quarantined."""
        healthy = [m for m in self.members if not m.quarantined]
        return max((len(_choose_distinct(group)) for group in _group_by_node(healthy)), default=0)

    def choose_leaders(self, size: int) -> list[Member]:
        """Return the members that lead when every node is divided into gangs of `size`."""
        return [leader for group in _group_by_node(self.members) for leader in group[::size]]

    def lease(self, size: int) -> Gang | None:
        """Lease `size` free, healthy devices of one node. Return None if no node has as many."""
        for free in _group_by_node([m for m in self.members if m.is_free]):
            chosen = _choose_distinct(free)[:size]
            if len(chosen) == size:
                return _take(chosen)
        return None

    def lease_devices(self, ids: Sequence[str]) -> Gang | None:
        """Lease the devices with these ids. Return None if one is unknown or not free."""
        free = {m.device.id: m for m in self.members if m.is_free}
        found = [free[wanted] for wanted in ids if wanted in free]
        if len(found) != len(ids):
            return None
        return _take(found)

    def release(self, gang: Gang) -> None:
        """Give the gang's devices back."""
        for member in gang.members:
            member.leased = False


def _choose_distinct(members: Sequence[Member]) -> list[Member]:
    """Return one member of each device: the ranks of a gang never share a GPU."""
    return list({member.device.id: member for member in reversed(members)}.values())[::-1]


def _take(members: Sequence[Member]) -> Gang:
    for member in members:
        member.leased = True
    return Gang(tuple(members))


def _group_by_node(members: Sequence[Member]) -> list[list[Member]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(member.node, []).append(member)
    return list(groups.values())

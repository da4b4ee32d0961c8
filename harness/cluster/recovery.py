"""The rules by which devices and nodes are used again, or no more. Pure: no Ray, no process.

- A device that does not prove itself clean is quarantined at once.
- An actor that is lost is started again on its device, which is checked anew. Lost three times in a
  row, without an attempt that ended between, its device is quarantined.
- A node that cannot run attempts at all (no folder, no suite) is quarantined at once, every device.
- A Ray that no longer answers is ended and started again, twice in a run at most.
"""

from collections.abc import Sequence

from harness.cluster.devices import Device
from harness.cluster.members import Member

MAX_LOSSES_IN_A_ROW = 3
MAX_RAY_RESTARTS = 2


class Recovery:
    """Changes members by what happened to them, and keeps a notice of each change."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self.notices: list[str] = []

    def take_notices(self) -> list[str]:
        """Return the notices since the last call."""
        notices, self.notices = self.notices, []
        return notices

    def quarantine(self, member: Member, reason: str) -> None:
        """Lease the device no more."""
        member.recovering = False
        if member.quarantined is None:
            member.quarantined = reason
            self.notices.append(f"quarantined: {member.device.id} on {member.host}: {reason}")

    def quarantine_node(self, member: Member, reason: str) -> None:
        """Lease no device of the member's node any more."""
        others = [m for m in self._members if m.node == member.node and not m.quarantined]
        if others:
            self.notices.append(f"quarantined: node {member.host} ({member.node[:8]}): {reason}")
        for other in others:
            other.quarantined = reason
            other.recovering = False

    def begin_restart(self, member: Member, reason: str) -> bool:
        """Return whether a lost actor may be started again; else its device is quarantined."""
        if member.quarantined or member.recovering:
            return False
        member.losses += 1
        if member.losses >= MAX_LOSSES_IN_A_ROW:
            self.quarantine(member, f"its actor was lost {member.losses} times in a row: {reason}")
            return False
        member.recovering = True
        self.notices.append(f"{member.device.id} on {member.host}: {reason}; starting it again")
        return True

    def end_restart(self, member: Member, fault: str | None) -> None:
        """Lease the device again, or quarantine it if its check found a fault."""
        member.recovering = False
        if fault is not None:
            self.quarantine(member, fault)

    def lose_ray(self, reason: str, again: bool) -> None:
        """Hold all devices back until Ray runs again; quarantine them if it will not."""
        left = [member for member in self._members if not member.quarantined]
        self.notices.append(f"Ray was lost: {reason}" + ("; starting it again" if again else ""))
        for member in left:
            member.recovering = again
            member.quarantined = None if again else f"Ray was lost: {reason}"

    def match_member(
        self, device: Device, node: str, is_private: bool, taken: Sequence[Member] = ()
    ) -> Member | None:
        """Return the known member that a restarted Ray describes, ready for leases again.

        A private Ray's only node has a new id each time. taken: members that were matched already.
        """
        for member in self._members:
            is_same = member.device.id == device.id and (is_private or member.node == node)
            if is_same and member not in taken:
                member.node, member.recovering = node, False
                return member
        return None

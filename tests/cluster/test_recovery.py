"""The rules by which devices and nodes are used again, or no more."""

from harness.cluster.devices import make_cpu_slots
from harness.cluster.members import Member
from harness.cluster.recovery import MAX_LOSSES_IN_A_ROW, Recovery


def make_recovery(*nodes: str) -> tuple[Recovery, list[Member]]:
    devices = make_cpu_slots(len(nodes))
    members = [Member(d, node, "host") for d, node in zip(devices, nodes, strict=True)]
    return Recovery(members), members


def test_a_lost_actor_is_started_again_and_its_device_waits_for_it() -> None:
    recovery, (member,) = make_recovery("a")
    assert recovery.begin_restart(member, "killed")
    assert not member.is_free
    recovery.end_restart(member, None)
    assert member.is_free


def test_an_actor_lost_too_often_in_a_row_costs_its_device() -> None:
    recovery, (member,) = make_recovery("a")
    for _ in range(MAX_LOSSES_IN_A_ROW - 1):
        assert recovery.begin_restart(member, "killed")
        recovery.end_restart(member, None)
    assert not recovery.begin_restart(member, "killed")
    assert member.quarantined is not None


def test_an_attempt_that_ended_between_begins_the_count_anew() -> None:
    recovery, (member,) = make_recovery("a")
    for _ in range(5):
        assert recovery.begin_restart(member, "killed")
        recovery.end_restart(member, None)
        member.losses = 0
    assert member.quarantined is None


def test_a_device_whose_check_fails_after_a_restart_is_quarantined() -> None:
    recovery, (member,) = make_recovery("a")
    recovery.begin_restart(member, "killed")
    recovery.end_restart(member, "300 MiB above its baseline")
    assert member.quarantined == "300 MiB above its baseline"
    assert not member.recovering


def test_a_node_that_cannot_be_used_loses_its_own_devices_only_and_is_named_once() -> None:
    recovery, members = make_recovery("a", "a", "b")
    recovery.quarantine_node(members[0], "no suite")
    recovery.quarantine_node(members[1], "no suite")
    assert [member.quarantined for member in members] == ["no suite", "no suite", None]
    assert len(recovery.take_notices()) == 1
    assert recovery.take_notices() == []


def test_devices_wait_while_ray_is_started_again_and_are_found_under_a_new_node_id() -> None:
    recovery, (member,) = make_recovery("a")
    recovery.lose_ray("raylet stopped", again=True)
    assert not member.is_free
    assert recovery.match_member(member.device, "new", is_private=True) is member
    assert member.is_free
    assert member.node == "new"


def test_no_device_is_left_if_ray_is_not_started_again() -> None:
    recovery, (member,) = make_recovery("a")
    recovery.lose_ray("raylet stopped", again=False)
    assert member.quarantined is not None
    assert not member.recovering


def test_a_joined_cluster_finds_a_device_on_its_own_node_only() -> None:
    recovery, (member,) = make_recovery("a")
    recovery.lose_ray("silent", again=True)
    assert recovery.match_member(member.device, "b", is_private=False) is None
    assert recovery.match_member(member.device, "a", is_private=False) is member

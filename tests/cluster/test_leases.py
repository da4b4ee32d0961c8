"""Which devices form a gang."""

from harness.cluster.devices import Device, make_cpu_slots
from harness.cluster.leases import Leases
from harness.cluster.members import Gang, Member


def make_leases(*nodes: str) -> Leases:
    devices = make_cpu_slots(len(nodes))
    return Leases([Member(d, node, "host") for d, node in zip(devices, nodes, strict=True)])


def ids(gang: Gang | None) -> list[str]:
    assert gang is not None
    return [member.device.id for member in gang.members]


def test_a_gang_is_of_one_node_even_if_all_hosts_have_one_name() -> None:
    leases = make_leases("a", "b", "b")
    assert ids(leases.lease(2)) == ["cpu:1", "cpu:2"]
    assert leases.lease(2) is None


def test_several_gangs_run_at_once_until_the_devices_are_leased() -> None:
    leases = make_leases("a", "a", "a", "a", "a")
    first, second = leases.lease(2), leases.lease(2)
    assert not set(ids(first)) & set(ids(second))
    assert leases.lease(2) is None
    assert first is not None
    leases.release(first)
    assert ids(leases.lease(2)) == ids(first)


def test_a_quarantined_device_is_in_no_gang() -> None:
    leases = make_leases("a", "a", "a")
    leases.members[1].quarantined = "300 MiB above its baseline"
    assert leases.largest_gang() == 2
    assert ids(leases.lease(2)) == ["cpu:0", "cpu:2"]


def test_exact_devices_are_leased_for_a_rerun_only_while_they_are_free() -> None:
    leases = make_leases("a", "a")
    assert ids(leases.lease_devices(["cpu:1", "cpu:0"])) == ["cpu:1", "cpu:0"]
    assert leases.lease_devices(["cpu:0"]) is None
    assert leases.lease_devices(["gone"]) is None


def test_every_node_has_leaders_of_its_own() -> None:
    leases = make_leases("a", "a", "a", "b", "b")
    leaders = [member.device.id for member in leases.choose_leaders(2)]
    assert leaders == ["cpu:0", "cpu:2", "cpu:3"]


def test_gangs_share_a_gpu_but_the_ranks_of_one_gang_do_not() -> None:
    gpus = [Device("cuda", f"GPU-{index}", "H200", index) for index in (0, 1)]
    leases = Leases([Member(gpu, "a", "host") for gpu in gpus for _ in range(2)])
    assert leases.largest_gang() == 2
    assert ids(leases.lease(2)) == ["GPU-0", "GPU-1"]
    assert ids(leases.lease(2)) == ["GPU-0", "GPU-1"]
    assert leases.lease(1) is None

"""Leases and quarantine, with fakes that record what was asked of them."""

from typing import Any

import pytest

from harness.cluster import pool as pool_module
from harness.cluster.devices import Device, choose_kind, cpu_slots
from harness.cluster.pool import Member, Pool
from harness.core.errors import NoDeviceError, UsageError


class FakeMethod:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def remote(self, *_: object) -> object:
        return self.answer


class FakeActor:
    def __init__(self, reason: str | None = None) -> None:
        self.unclean = FakeMethod(reason)


def make_pool(*nodes: str, reasons: dict[int, str] | None = None) -> Pool:
    devices = cpu_slots(len(nodes))
    actors = [FakeActor((reasons or {}).get(index)) for index in range(len(nodes))]
    return Pool([Member(d, n, a) for d, n, a in zip(devices, nodes, actors, strict=True)])


@pytest.fixture(autouse=True)
def plain_get(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any, timeout: float | None = None) -> Any:
        assert timeout is not None
        return reference

    monkeypatch.setattr(pool_module.ray, "get", get)


def test_a_gang_is_of_one_node() -> None:
    pool = make_pool("a", "b", "b")
    gang = pool.lease(2)
    assert gang is not None
    assert {member.node for member in gang.members} == {"b"}
    assert pool.lease(2) is None


def test_several_gangs_run_at_once_until_the_devices_are_leased() -> None:
    pool = make_pool("a", "a", "a", "a", "a")
    first, second = pool.lease(2), pool.lease(2)
    assert first is not None
    assert second is not None
    assert not set(map(id, first.members)) & set(map(id, second.members))
    assert pool.lease(2) is None
    pool.release(first)
    assert pool.lease(2) is not None


def test_a_device_that_is_not_clean_is_quarantined_and_named() -> None:
    pool = make_pool("a", "a", "a", reasons={1: "300 MiB above its baseline"})
    gang = pool.lease(2)
    assert gang is not None
    assert pool.unclean(gang) == {"cpu:1": "300 MiB above its baseline"}
    pool.release(gang)
    again = pool.lease(2)
    assert again is not None
    assert "cpu:1" not in {member.device.id for member in again.members}
    assert pool.largest_gang() == 2


def test_exact_devices_are_leased_for_a_rerun_only_while_they_are_free() -> None:
    pool = make_pool("a", "a")
    gang = pool.lease_devices(["cpu:1", "cpu:0"])
    assert gang is not None
    assert [member.device.id for member in gang.members] == ["cpu:1", "cpu:0"]
    assert pool.lease_devices(["cpu:0"]) is None
    assert pool.lease_devices(["gone"]) is None


def test_asking_for_a_gpu_where_there_is_none_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    none: tuple[list[Device], str] = ([], "no driver")
    monkeypatch.setattr("harness.cluster.devices.gpus", lambda: none)
    assert choose_kind("auto") == "cpu"
    with pytest.raises(NoDeviceError, match=r"no GPU here \(no driver\)"):
        choose_kind("cuda")
    with pytest.raises(UsageError, match="'tpu': choose from auto, cpu, cuda"):
        choose_kind("tpu")

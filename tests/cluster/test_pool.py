"""The pool beside actors that are no processes."""

from collections.abc import Mapping
from typing import Any

import pytest
import ray

from harness.cluster.calls import ActorHandle
from harness.cluster.devices import make_cpu_slots
from harness.cluster.members import Member
from harness.cluster.pool import RayPool


class FakeMethod:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def remote(self, *_: object) -> object:
        return self.answer


class FakeActor:
    def __init__(self, reason: str | None = None) -> None:
        self.check_device = FakeMethod(reason)


def make_pool(reasons: Mapping[int, str]) -> RayPool:
    members = [Member(device, "a", "host") for device in make_cpu_slots(3)]
    actors = [ActorHandle(FakeActor(reasons.get(index))) for index in range(3)]
    return RayPool(dict(zip(members, actors, strict=True)))


@pytest.fixture(autouse=True)
def plain_get(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any, timeout: float | None = None) -> Any:
        assert timeout is not None, "every wait has a deadline"
        return reference

    monkeypatch.setattr(ray, "get", get)


def test_a_device_that_is_not_clean_is_quarantined_and_named() -> None:
    pool = make_pool({1: "300 MiB above its baseline"})
    gang = pool.lease(2)
    assert gang is not None
    assert pool.check_devices(gang) == {"cpu:1": "300 MiB above its baseline"}
    pool.release(gang)
    again = pool.lease(2)
    assert again is not None
    assert "cpu:1" not in {member.device.id for member in again.members}
    assert pool.largest_gang() == 2

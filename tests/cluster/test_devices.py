"""Which kind of device a run uses."""

import pytest

from harness.cluster.devices import Device, choose_kind
from harness.core.errors import NoDeviceError, UsageError


def test_asking_for_a_gpu_if_there_is_none_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    none: tuple[list[Device], str] = ([], "no driver")
    monkeypatch.setattr("harness.cluster.devices.find_gpus", lambda: none)
    assert choose_kind("auto") == "cpu"
    with pytest.raises(NoDeviceError, match="no driver"):
        choose_kind("cuda")
    with pytest.raises(UsageError, match="'tpu'"):
        choose_kind("tpu")

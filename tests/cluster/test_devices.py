"""Which kind of device a run uses."""

import pytest

from harness.cluster.devices import Device, choose_kind, match_gpu
from harness.core.errors import NoDeviceError, UsageError


def test_asking_for_a_gpu_if_there_is_none_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    none: tuple[list[Device], str] = ([], "no driver")
    monkeypatch.setattr("harness.cluster.devices.find_gpus", lambda: none)
    assert choose_kind("auto") == "cpu"
    with pytest.raises(NoDeviceError, match="no driver"):
        choose_kind("cuda")
    with pytest.raises(UsageError, match="'tpu'"):
        choose_kind("tpu")


def test_a_gpu_is_found_by_the_name_that_ray_gives_it() -> None:
    gpus = [Device("cuda", f"GPU-{index}", "H200", index) for index in (2, 3)]
    assert match_gpu("3", gpus).id == "GPU-3"
    assert match_gpu("GPU-2", gpus).index == 2
    with pytest.raises(NoDeviceError, match="'0'"):
        match_gpu("0", gpus)

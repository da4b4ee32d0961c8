"""The devices of this node, and how one proves itself clean. NVML only: no CUDA context is made."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pynvml

from harness.core.errors import NoDeviceError, UsageError

#: A device is clean when its used memory is back within this of its baseline. NVML's own
#: bookkeeping moves by a few MiB; a leaked context holds hundreds.
CLEAN_TOLERANCE_BYTES = 64 << 20

#: How long a device may take to give memory back after its processes have ended.
CLEAN_WAIT_S = 10.0


DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, or one CPU slot. `id` is the GPU's UUID, or `cpu:K`."""

    kind: DeviceKind
    id: str
    name: str
    index: int


def choose_kind(requested: str) -> DeviceKind:
    """Resolve `--device auto|cpu|cuda`.

    Raise UsageError for another word, NoDeviceError if a GPU is asked for and none is here.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {requested!r}: choose from auto, cpu, cuda")
    if requested == "cpu":
        return "cpu"
    found, reason = find_gpus()
    if found:
        return "cuda"
    if requested == "cuda":
        raise NoDeviceError(f"--device cuda: no GPU here ({reason}); use --device cpu")
    return "cpu"


def find_gpus() -> tuple[list[Device], str]:
    """Return the visible GPUs of this node and, if there are none, why."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [], str(error)
    try:
        found = [_read_gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError as error:
        return [], str(error)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        wanted = [item.strip() for item in visible.split(",") if item.strip()]
        found = [d for d in found if str(d.index) in wanted or d.id in wanted]
    return found, "CUDA_VISIBLE_DEVICES hides all" if not found else ""


def find_assigned_gpu() -> Device:
    """Return the GPU that Ray has assigned to this actor. Raise NoDeviceError if it is not here.

    Ray counts the GPUs that its node was started with, and names each by index or by UUID.
    """
    import ray  # here only: the driver asks this module for devices, and must not import ray

    assigned = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    found, reason = find_gpus()
    return match_gpu(assigned[0] if assigned else "", found, reason)


def match_gpu(assigned: str, found: list[Device], reason: str = "") -> Device:
    """Return the GPU that Ray's name means. Raise NoDeviceError if none does."""
    for device in found:
        if assigned in (str(device.index), device.id):
            return device
    raise NoDeviceError(f"Ray assigned GPU {assigned!r}, which this node does not show ({reason})")


def _read_gpu(index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Device("cuda", _decode(pynvml.nvmlDeviceGetUUID(handle)), _read_name(handle), index)


def _read_name(handle: object) -> str:
    return _decode(pynvml.nvmlDeviceGetName(handle))


def _decode(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def make_cpu_slots(count: int) -> list[Device]:
    """Return `count` CPU slots. A slot is bookkeeping: nothing binds an attempt to one core."""
    return [Device("cpu", f"cpu:{index}", "CPU slot", index) for index in range(count)]


def count_usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class GpuHealth:
    """One GPU's memory before the run, and the checks against it."""

    def __init__(
        self,
        device: Device,
        baseline_bytes: int | None = None,
        shares: int = 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """baseline_bytes: what a predecessor measured before the run; None to measure it now.

        shares: gangs that use this GPU at once, each with an equal part of its memory.
        """
        pynvml.nvmlInit()
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(device.id)
        memory = pynvml.nvmlDeviceGetMemoryInfo(self._handle)
        self.baseline_bytes = int(memory.used) if baseline_bytes is None else baseline_bytes
        # What the other shares may hold is not ours to wait for.
        self._others_bytes = int(memory.total) * (shares - 1) // shares
        self._sleep = sleep

    def find_fault(self) -> str | None:
        """Return why the device may not be leased, None if it is clean. Wait for late releases.

        Memory is compared because NVML shows no process ids across container namespaces.
        """
        try:
            return self._find_ecc_errors() or self._await_release()
        except pynvml.NVMLError as error:
            return f"NVML does not answer: {error}"

    def _await_release(self) -> str | None:
        deadline = time.monotonic() + CLEAN_WAIT_S
        while (extra := self._read_excess_bytes()) > CLEAN_TOLERANCE_BYTES:
            if time.monotonic() > deadline:
                return f"{extra >> 20} MiB above its baseline after {CLEAN_WAIT_S:g} s"
            self._sleep(0.1)
        return None

    def _find_ecc_errors(self) -> str | None:
        try:
            errors = pynvml.nvmlDeviceGetTotalEccErrors(
                self._handle,
                pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                pynvml.NVML_VOLATILE_ECC,
            )
        except pynvml.NVMLError_NotSupported:
            return None
        return f"{errors} uncorrected ECC errors since boot" if errors else None

    def _read_excess_bytes(self) -> int:
        used = int(pynvml.nvmlDeviceGetMemoryInfo(self._handle).used)
        return used - self.baseline_bytes - self._others_bytes

"""What NVML knows of GPUs at a moment: for the evidence of an attempt that failed on them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pynvml

_THROTTLING = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "thermal, by software",
    0x40: "thermal, by hardware",
    0x80: "power brake",
    0x100: "display clocks",
}
_WAIT_MS = 0
_MOST_EVENTS = 100


def name_throttling(reasons: int) -> list[str]:
    """Return why clocks are held back; idle is no reason to worry, and is named all the same."""
    known = [name for bit, name in _THROTTLING.items() if reasons & bit]
    unknown = reasons & ~sum(_THROTTLING)
    return known + ([f"0x{unknown:x}"] if unknown else [])


class XidWatch:
    """Collects the Xid errors of GPUs from now on. `why_not` says why it cannot."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.why_not: str | None = None
        self._seen: list[dict[str, Any]] = []
        try:
            pynvml.nvmlInit()
            self._events = pynvml.nvmlEventSetCreate()
            for gpu in ids:
                handle = pynvml.nvmlDeviceGetHandleByUUID(gpu)
                pynvml.nvmlDeviceRegisterEvents(
                    handle, pynvml.nvmlEventTypeXidCriticalError, self._events
                )
        except pynvml.NVMLError as error:
            self.why_not = str(error)

    def read(self) -> list[dict[str, Any]]:
        """Return the errors seen so far: their numbers and their GPUs' UUIDs."""
        for _ in range(_MOST_EVENTS if self.why_not is None else 0):
            try:
                event = pynvml.nvmlEventSetWait_v2(self._events, _WAIT_MS)
                gpu = str(pynvml.nvmlDeviceGetUUID(event.device))
            except pynvml.NVMLError:
                break  # a timeout: there is no further one
            self._seen.append({"xid": int(event.eventData), "gpu": gpu})
        return list(self._seen[-_MOST_EVENTS:])


def read_gpu_state(ids: Sequence[str], xids: XidWatch) -> dict[str, Any]:
    """Return memory, processes, ECC, throttling and Xid errors of these GPUs, as JSON values.

    A question that NVML does not answer has the answer `not available: why`.
    """
    errors: Any = xids.read() if xids.why_not is None else f"not available: {xids.why_not}"
    return {"gpus": [_read_gpu(gpu) for gpu in ids], "xid_errors_of_this_run": errors}


def _read_gpu(gpu: str) -> dict[str, Any]:
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(gpu)
    except pynvml.NVMLError as error:
        return {"id": gpu, "state": f"not available: {error}"}
    return {"id": gpu, **{name: _ask(ask, handle) for name, ask in _QUESTIONS.items()}}


def _ask(question: Callable[[Any], Any], handle: Any) -> Any:
    try:
        return question(handle)
    except pynvml.NVMLError as error:
        return f"not available: {error}"


def _read_memory(handle: Any) -> dict[str, int]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {"used_bytes": int(memory.used), "total_bytes": int(memory.total)}


def _read_processes(handle: Any) -> list[dict[str, Any]]:
    found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return [{"pid": int(one.pid), "used_bytes": one.usedGpuMemory} for one in found]


def _read_ecc(kind: int) -> Callable[[Any], int]:
    return lambda handle: int(
        pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC)
    )


def _read_throttling(handle: Any) -> list[str]:
    return name_throttling(int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))


def _read_rows(handle: Any) -> dict[str, int]:
    names = ("correctable", "uncorrectable", "pending", "failed")
    return dict(zip(names, map(int, pynvml.nvmlDeviceGetRemappedRows(handle)), strict=True))


_QUESTIONS: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda handle: str(pynvml.nvmlDeviceGetName(handle)),
    "memory": _read_memory,
    "processes": _read_processes,
    "ecc_corrected_since_boot": _read_ecc(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
    "ecc_uncorrected_since_boot": _read_ecc(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
    "remapped_rows": _read_rows,
    "throttling": _read_throttling,
    "temperature_celsius": lambda handle: int(
        pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    ),
    "power_milliwatts": lambda handle: int(pynvml.nvmlDeviceGetPowerUsage(handle)),
}

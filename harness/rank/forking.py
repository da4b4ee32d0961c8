"""Whether this process may be forked: asked of a zygote before each fork.

A fork copies the thread that calls it and nothing else. Locks that other threads held stay locked
in the child, and a CUDA context, with the driver's threads, does not survive at all.
"""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import processes

#: Files of the NVIDIA and AMD drivers that a process opens when it initialises its GPUs.
_DEVICE_FILES = ("/dev/nvidia", "/dev/kfd", "/dev/dri/")
#: What libcuda answers until somebody has called cuInit.
_CUDA_NOT_INITIALISED = 3


def find_fork_obstacle() -> str | None:
    """Return why a fork of this process would not be safe, or None if it is."""
    threads = processes.count_threads()
    if threads != 1:
        return f"{threads} threads after preloading: a fork could deadlock"
    return find_cuda_use()


def find_cuda_use() -> str | None:
    """Return how this process has touched a GPU, or None if it has not."""
    return _find_open_device() or _find_torch_context() or _find_initialised_driver()


def count_sockets() -> int:
    """Return how many sockets this process holds: one that is forked would be shared."""
    return sum(target.startswith("socket:") for target in _list_descriptors())


def _find_open_device() -> str | None:
    for target in _list_descriptors():
        if target.startswith(_DEVICE_FILES):
            return f"{target} is open after preloading: a device does not survive a fork"
    return None


def _find_torch_context() -> str | None:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    is_initialized: Callable[[], bool] | None = getattr(cuda, "is_initialized", None)
    if is_initialized is not None and is_initialized():
        return "torch has initialised CUDA while preloading: its context does not survive a fork"
    return None


def _find_initialised_driver() -> str | None:
    if "libcuda.so" not in Path("/proc/self/maps").read_text(errors="replace"):
        return None
    count = ctypes.c_int()
    driver: Any = ctypes.CDLL("libcuda.so.1")  # loaded already: this only finds it
    if driver.cuDeviceGetCount(ctypes.byref(count)) == _CUDA_NOT_INITIALISED:
        return None
    return "the CUDA driver was initialised while preloading: it does not survive a fork"


def _list_descriptors() -> list[str]:
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(link.readlink()))
        except OSError:  # the listing's own descriptor, closed since
            continue
    return targets

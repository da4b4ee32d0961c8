"""The CUDA context of a rank, made while pytest still collects: the two take 0.3 s each."""

import ctypes
import threading

_DRIVER = "libcuda.so.1"


def open_context() -> None:
    """Have a thread make the primary context of the first visible GPU; torch will find it made.

    Only the driver is called: torch's allocator, whose blocks are part of what is measured, is
    untouched. A failure is left to the suite, which meets it at its own first call.
    """
    threading.Thread(target=_retain_context, name="harness-context", daemon=True).start()


def _retain_context() -> None:
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return
    device, context = ctypes.c_int(), ctypes.c_void_p()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0:
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)

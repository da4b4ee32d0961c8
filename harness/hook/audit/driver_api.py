"""The calls of the CUDA driver that read a captured graph, through ctypes on the loaded libcuda.

Structures and constants are those of cuda.h of CUDA 12.4 and later.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from typing import Any

_SUCCESS = 0
_HOST_MEMORY = 1


class DriverError(RuntimeError):
    """A call of the driver failed, or this driver does not have it."""


class KernelParams(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2."""

    _fields_ = (
        ("func", c_void_p),
        *((name, c_uint) for name in ("gx", "gy", "gz", "bx", "by", "bz", "shared_bytes")),
        ("params", POINTER(c_void_p)),
        ("extra", POINTER(c_void_p)),
        ("kern", c_void_p),
        ("ctx", c_void_p),
    )


class Side(ctypes.Structure):
    """One side of a CUDA_MEMCPY3D."""

    _fields_ = (
        *((name, c_size_t) for name in ("x", "y", "z", "lod")),
        ("type", c_uint),
        *((name, c_void_p) for name in ("host", "device", "array", "reserved")),
        ("pitch", c_size_t),
        ("height", c_size_t),
    )

    @property
    def address(self) -> int:
        """The first byte, in host or device memory; 0 for an array."""
        base = self.host if self.type == _HOST_MEMORY else self.device
        if not base:
            return 0
        address: int = base + self.x + self.pitch * (self.y + self.height * self.z)
        return address


class MemcpyParams(ctypes.Structure):
    """CUDA_MEMCPY3D."""

    _fields_ = (
        ("source", Side),
        ("target", Side),
        *((name, c_size_t) for name in ("width", "height", "depth")),
    )


class MemsetParams(ctypes.Structure):
    """CUDA_MEMSET_NODE_PARAMS."""

    _fields_ = (
        ("target", c_void_p),
        ("pitch", c_size_t),
        ("value", c_uint),
        ("element", c_uint),
        ("width", c_size_t),
        ("height", c_size_t),
    )


class Driver:
    """libcuda of this process. Raises DriverError if there is none."""

    def __init__(self) -> None:
        try:
            self._library: Any = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise DriverError(f"libcuda cannot be loaded: {error}") from error
        # These are called for each node: found once, and given plain numbers.
        self._read_type: Any = self._find("cuGraphNodeGetType")
        self._read_kernel: Any = self._find("cuGraphKernelNodeGetParams_v2")
        self._read_type.argtypes = self._read_kernel.argtypes = (c_void_p, c_void_p)

    def list_nodes(self, graph: int) -> list[int]:
        """Return the nodes of a CUgraph."""
        count = c_size_t()
        self._call("cuGraphGetNodes", c_void_p(graph), None, byref(count))
        nodes = (c_void_p * count.value)()
        if count.value:
            self._call("cuGraphGetNodes", c_void_p(graph), nodes, byref(count))
        return [int(node) for node in nodes if node]

    def get_type(self, node: int) -> int:
        """Return the CUgraphNodeType of a node."""
        kind = c_int()
        _check("cuGraphNodeGetType", self._read_type(node, byref(kind)))
        return kind.value

    def get_child(self, node: int) -> int:
        """Return the CUgraph inside a child graph node."""
        child = c_void_p()
        self._call("cuGraphChildGraphNodeGetGraph", c_void_p(node), byref(child))
        return int(child.value or 0)

    def read_kernel(self, node: int) -> KernelParams:
        """Return what a kernel node launches."""
        params = KernelParams()
        _check("cuGraphKernelNodeGetParams_v2", self._read_kernel(node, byref(params)))
        return params

    def read_memcpy(self, node: int) -> MemcpyParams:
        """Return what a memcpy node copies."""
        params = MemcpyParams()
        self._call("cuGraphMemcpyNodeGetParams", c_void_p(node), byref(params))
        return params

    def read_memset(self, node: int) -> MemsetParams:
        """Return what a memset node sets."""
        params = MemsetParams()
        self._call("cuGraphMemsetNodeGetParams", c_void_p(node), byref(params))
        return params

    def copy_to_host(self, address: int, size: int) -> bytes:
        """Return device memory. Raises DriverError where there is none: nothing else happens."""
        data = ctypes.create_string_buffer(size)
        self._call("cuMemcpyDtoH_v2", data, c_ulonglong(address), c_size_t(size))
        return data.raw

    def get_kernel_name(self, params: KernelParams) -> str:
        """Return the mangled name of a kernel."""
        name = c_char_p()
        call, handle = self._choose("cuFuncGetName", "cuKernelGetName", params)
        self._call(call, byref(name), handle)
        return (name.value or b"").decode(errors="replace")

    def list_parameters(self, params: KernelParams) -> list[tuple[int, int]]:
        """Return (offset, size) in bytes of each parameter of a kernel."""
        call, handle = self._choose("cuFuncGetParamInfo", "cuKernelGetParamInfo", params)
        found: list[tuple[int, int]] = []
        offset, size = c_size_t(), c_size_t()
        function = self._find(call)
        # The driver says only by an error that there is no such parameter.
        while function(handle, c_size_t(len(found)), byref(offset), byref(size)) == _SUCCESS:
            found.append((offset.value, size.value))
        return found

    @staticmethod
    def _choose(of_function: str, of_kernel: str, params: KernelParams) -> tuple[str, c_void_p]:
        if params.func:
            return of_function, c_void_p(params.func)
        return of_kernel, c_void_p(params.kern)

    def _find(self, name: str) -> Any:
        function = getattr(self._library, name, None)
        if function is None:
            raise DriverError(f"this CUDA driver has no {name}: 12.4 or later is needed")
        return function

    def _call(self, name: str, *arguments: Any) -> None:
        _check(name, self._find(name)(*arguments))


def _check(name: str, code: int) -> None:
    if code != _SUCCESS:
        raise DriverError(f"{name} failed with CUresult {code}")

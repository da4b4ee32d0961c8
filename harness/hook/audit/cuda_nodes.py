"""The words of a CUDA graph's nodes that may be addresses."""

import ctypes
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from .driver_api import Driver, KernelParams

_KERNEL, _MEMCPY, _MEMSET, _CHILD = 0, 1, 2, 4
_WORD = 8
#: What a copy is called where a kernel would have its name.
MEMCPY = "memcpy"
#: Of the words that `extra` of a launch begins with: the buffer follows, or its size does.
_BUFFER, _BUFFER_SIZE = 1, 2


#: Kernels whose structures have room for more than a launch uses: the rest holds whatever was on
#: the stack, such as addresses of earlier launches. Seen on an H100: the 28th word of a structure
#: of `CatArrayBatchedCopy`, and word 82 of one of `_scatter_gather_elementwise_kernel`.
PARTLY_WRITTEN = tuple(
    re.compile(pattern) for pattern in (r"2at6native", r"multi_tensor_apply", r"3cub\d")
)
#: Smaller structures are written whole: a plain array of the tensors of one operation.
WHOLE_BYTES = 64


def is_partly_written(kernel: str, size: int) -> bool:
    """Tell whether a parameter of this many bytes may hold words that nobody wrote."""
    return size > WHOLE_BYTES and any(pattern.search(kernel) for pattern in PARTLY_WRITTEN)


class Word(NamedTuple):
    """Eight bytes of one node that may be an address."""

    node: int
    kernel: str
    parameter: str
    value: int


class NodeReader:
    """Reads graphs of one process; names and layouts of kernels are asked for once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._kernels: dict[int, tuple[str, list[tuple[int, int]]]] = {}
        self.not_judged = 0
        """Words that were left out, since nobody may have written them."""

    def list_words(self, graph: int) -> Iterator[Word]:
        """Yield the words of all nodes of a CUgraph, child graphs included. Raises DriverError."""
        for number, node in enumerate(self._driver.list_nodes(graph)):
            kind = self._driver.get_type(node)
            if kind == _KERNEL:
                yield from self._list_kernel(number, node)
            elif kind == _MEMCPY:
                copied = self._driver.read_memcpy(node)
                yield Word(number, MEMCPY, "source", copied.source.address)
                yield Word(number, MEMCPY, "target", copied.target.address)
            elif kind == _MEMSET:
                yield Word(number, "memset", "target", self._driver.read_memset(node).target or 0)
            elif kind == _CHILD:
                yield from self.list_words(self._driver.get_child(node))

    def _list_kernel(self, number: int, node: int) -> Iterator[Word]:
        params = self._driver.read_kernel(node)
        name, layout = self._describe_kernel(params)
        for index, (offset, size) in enumerate(layout):
            if is_partly_written(name, size):
                self.not_judged += size // _WORD
                continue
            data = _read_parameter(params, index, offset, size)
            for place, value in enumerate(struct.unpack_from(f"<{len(data) // _WORD}Q", data)):
                at = f"+{place * _WORD}" if size > _WORD else ""
                yield Word(number, name, f"parameter {index}{at}", value)

    def _describe_kernel(self, params: KernelParams) -> tuple[str, list[tuple[int, int]]]:
        handle = int(params.func or params.kern or 0)
        if handle not in self._kernels:
            name = self._driver.get_kernel_name(params)
            self._kernels[handle] = name, self._driver.list_parameters(params)
        return self._kernels[handle]


def _read_parameter(params: KernelParams, index: int, offset: int, size: int) -> bytes:
    """Return a parameter's bytes as they were when the launch was captured."""
    if params.params:
        # A parameter is aligned to its own type: words of a structure lie at multiples of eight.
        return ctypes.string_at(params.params[index] or 0, size) if params.params[index] else b""
    words = params.extra
    at = 0
    while words and words[at]:
        if words[at] == _BUFFER and words[at + 1]:
            return ctypes.string_at(int(words[at + 1] or 0) + offset, size)
        at += 2
    return b""

"""The words of a CUDA graph's nodes that may be addresses."""

import ctypes
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from .driver_api import Driver, KernelParams

_KERNEL, _MEMCPY, _MEMSET, _CHILD = 0, 1, 2, 4
_WORD = 8
#: What a copy is called where a kernel would have its name.
MEMCPY = "memcpy"
#: Of the words that `extra` of a launch begins with: the buffer follows.
_BUFFER = 1


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


class _Kernel(NamedTuple):
    """What is read of each launch of one kernel."""

    name: str
    parameters: list[tuple[int, int, struct.Struct]]
    """Index, offset and words of each."""
    not_judged: int
    """Words that are left out."""


class NodeReader:
    """Reads graphs of one process; names and layouts of kernels are asked for once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._kernels: dict[int, _Kernel] = {}
        self.count = 0
        """Words that were looked at."""
        self.not_judged = 0
        """Words that were left out, since nobody may have written them."""

    def list_words(self, graph: int, low: int = 0, high: int = 1 << 64) -> Iterator[Word]:
        """Yield the words of all nodes of a CUgraph, child graphs included. Raises DriverError.

        Of kernels only words from `low` to below `high`: of a hundred words two or three are
        addresses, and only these are worth an object. Of copies all: they may lie in host memory.
        """
        wanted = range(low, high)
        for number, node in enumerate(self._driver.list_nodes(graph)):
            kind = self._driver.get_type(node)
            if kind == _KERNEL:
                yield from self._list_kernel(number, node, wanted)
            elif kind == _MEMCPY:
                copied = self._driver.read_memcpy(node)
                self.count += 2
                yield Word(number, MEMCPY, "source", copied.source.address)
                yield Word(number, MEMCPY, "target", copied.target.address)
            elif kind == _MEMSET:
                self.count += 1
                yield Word(number, "memset", "target", self._driver.read_memset(node).target or 0)
            elif kind == _CHILD:
                yield from self.list_words(self._driver.get_child(node), low, high)

    def _list_kernel(self, number: int, node: int, wanted: range) -> Iterator[Word]:
        params = self._driver.read_kernel(node)
        kernel = self._describe_kernel(params)
        self.not_judged += kernel.not_judged
        for index, offset, layout in kernel.parameters:
            values = _read_parameter(params, index, offset, layout)
            self.count += len(values)
            for place, value in enumerate(values):
                if value in wanted:
                    at = f"+{place * _WORD}" if layout.size > _WORD else ""
                    yield Word(number, kernel.name, f"parameter {index}{at}", value)

    def _describe_kernel(self, params: KernelParams) -> _Kernel:
        handle = int(params.func or params.kern or 0)
        if handle not in self._kernels:
            name = self._driver.get_kernel_name(params)
            self._kernels[handle] = _choose_parameters(name, self._driver.list_parameters(params))
        return self._kernels[handle]


def _choose_parameters(name: str, layout: list[tuple[int, int]]) -> _Kernel:
    """Return what is read of each launch of a kernel: whole words of what somebody wrote."""
    parameters: list[tuple[int, int, struct.Struct]] = []
    not_judged = 0
    for index, (offset, size) in enumerate(layout):
        if is_partly_written(name, size):
            not_judged += size // _WORD
        elif size >= _WORD:
            parameters.append((index, offset, struct.Struct(f"<{size // _WORD}Q")))
    return _Kernel(name, parameters, not_judged)


def _read_parameter(
    params: KernelParams, index: int, offset: int, layout: struct.Struct
) -> tuple[int, ...]:
    """Return a parameter's words as they were when the launch was captured."""
    if params.params:
        # A parameter is aligned to its own type: words of a structure lie at multiples of eight.
        address = params.params[index] or 0
    else:
        buffer = _find_buffer(params.extra)
        address = buffer + offset if buffer else 0
    return layout.unpack(ctypes.string_at(address, layout.size)) if address else ()


def _find_buffer(extra: Any) -> int:
    """Return where all parameters lie in a row, of the pairs that `extra` of a launch holds."""
    at = 0
    while extra and extra[at]:
        if extra[at] == _BUFFER:
            return int(extra[at + 1] or 0)
        at += 2
    return 0

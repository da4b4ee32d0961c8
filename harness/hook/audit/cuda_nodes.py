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
#: Words at the begin of such a structure that are written: a list of tensors is filled from its
#: first one on, and torch's `TensorInfo` (index_select, sorting) begins with the data's address.
_WRITTEN = 1
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
    layout: tuple[tuple[int, int], ...]
    """Offset from the first and size of each parameter, in bytes."""
    offsets: tuple[int, ...]
    size: int
    """From the first parameter to the end of the last."""
    judged: struct.Struct
    """The words of all parameters that are judged; what lies between them is skipped."""
    places: tuple[tuple[int, int, bool], ...]
    """Of each of these words: parameter, byte in it, and whether it is the whole parameter."""
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

        Of kernels only words from `low` to below `high`, and of equal ones the first: of a hundred
        words two or three are addresses, and only these are worth an object. Of copies all: they
        may lie in host memory.
        """
        return self._list_words(graph, low, high, set())

    def _list_words(self, graph: int, low: int, high: int, seen: set[int]) -> Iterator[Word]:
        for number, node in enumerate(self._driver.list_nodes(graph)):
            kind = self._driver.get_type(node)
            if kind == _KERNEL:
                kernel, values = self._read_kernel(node)
                # Most nodes have nothing new: this line is run for each of them.
                new = {value for value in values if low <= value < high} - seen
                seen |= new
                yield from _make_words(number, kernel, values, new) if new else ()
            elif kind == _MEMCPY:
                copied = self._driver.read_memcpy(node)
                self.count += 2
                yield Word(number, MEMCPY, "source", copied.source.address)
                yield Word(number, MEMCPY, "target", copied.target.address)
            elif kind == _MEMSET:
                self.count += 1
                yield Word(number, "memset", "target", self._driver.read_memset(node).target or 0)
            elif kind == _CHILD:
                yield from self._list_words(self._driver.get_child(node), low, high, seen)

    def _read_kernel(self, node: int) -> tuple[_Kernel, tuple[int, ...]]:
        params = self._driver.read_kernel(node)
        handle: int = params.func or params.kern or 0
        kernel = self._kernels.get(handle)
        if kernel is None:
            name = self._driver.get_kernel_name(params)
            kernel = _describe_kernel(name, self._driver.list_parameters(params))
            self._kernels[handle] = kernel
        self.not_judged += kernel.not_judged
        data = _read_parameters(params, kernel) if kernel.places else b""
        values = kernel.judged.unpack(data) if data else ()
        self.count += len(values)
        return kernel, values


def _make_words(
    number: int, kernel: _Kernel, values: tuple[int, ...], new: set[int]
) -> Iterator[Word]:
    for (index, byte, is_whole), value in zip(kernel.places, values, strict=True):
        if value in new:
            new.discard(value)
            at = "" if is_whole else f"+{byte}"
            yield Word(number, kernel.name, f"parameter {index}{at}", value)


def _describe_kernel(name: str, layout: list[tuple[int, int]]) -> _Kernel:
    """Return what is read of each launch: whole words of what somebody certainly wrote."""
    places: list[tuple[int, int, bool]] = []
    first = layout[0][0] if layout else 0
    form, at, not_judged = "<", first, 0
    for index, (offset, size) in enumerate(layout):
        words = size // _WORD
        if is_partly_written(name, size):
            not_judged, words = not_judged + words - _WRITTEN, _WRITTEN
        form += f"{offset - at}x{words}Q{size - words * _WORD}x"
        at = offset + size
        # A parameter is aligned to its own type: words of a structure lie at multiples of eight.
        places += [(index, word * _WORD, size == _WORD) for word in range(words)]
    judged, moved = struct.Struct(form), tuple((offset - first, size) for offset, size in layout)
    offsets = tuple(offset for offset, _ in moved)
    return _Kernel(name, moved, offsets, judged.size, judged, tuple(places), not_judged)


def _read_parameters(params: KernelParams, kernel: _Kernel) -> bytes:
    """Return a launch's parameters as they were when it was captured, each at its offset."""
    if not params.params:
        buffer = _find_buffer(params.extra)
        return ctypes.string_at(buffer, kernel.size) if buffer else b""
    # This function is run for each node.
    count = len(kernel.layout)
    addresses = struct.unpack(f"<{count}Q", ctypes.string_at(params.params, count * _WORD))
    first = addresses[0]
    if addresses == tuple(map(first.__add__, kernel.offsets)):
        return ctypes.string_at(first, kernel.size)
    return _gather(addresses, kernel) if all(addresses) else b""


def _gather(addresses: tuple[int, ...], kernel: _Kernel) -> bytes:
    """Return parameters that do not lie in a row, each at its offset."""
    data = bytearray(kernel.size)
    for address, (offset, size) in zip(addresses, kernel.layout, strict=True):
        data[offset : offset + size] = ctypes.string_at(address, size)
    return bytes(data)


def _find_buffer(extra: Any) -> int:
    """Return where all parameters lie in a row, of the pairs that `extra` of a launch holds."""
    at = 0
    while extra and extra[at]:
        if extra[at] == _BUFFER:
            return int(extra[at + 1] or 0)
        at += 2
    return 0

"""Which words of a CUDA graph's nodes count as addresses. The driver is a table of kernels."""

import ctypes
import struct
from typing import Any

import pytest
import torch

from harness.hook.audit.allocator import leave_compiler_out, read_history
from harness.hook.audit.cuda_graphs import _find_host
from harness.hook.audit.cuda_nodes import MEMCPY, NodeReader, Word
from harness.hook.audit.driver_api import KernelParams, MemcpyParams, MemsetParams
from harness.hook.audit.host_memory import HostOwner, find_host_owners
from harness.hook.audit.model import MemoryMap

#: Names as the driver gave them on an H100; words 28 and 82 of these structures were nobody's.
CAT = "_ZN2at6native40_GLOBAL__N__0f1a8107_8_Shape_cu_49f7391c30CatArrayBatchedCopy_vectorizedINS1_"
SCATTER = "_ZN2at6native34_scatter_gather_elementwise_kernelILi128ELi8EZNS0_36_cuda_scatter_gather"
GATHER = "_ZN2at6native24vectorized_gather_kernelILi16ElEEvPcS2_PT0_illllb"
FLASH = "_ZN7cutlass13device_kernelIN5flash11enable_sm90INS1_16FlashAttnFwdSm90"


Kernel = tuple[str, list[bytes]]


class Driver:
    """Answers as libcuda does, for one graph of kernels that are given as (name, parameters)."""

    def __init__(self, *kernels: Kernel, in_a_row: bool = False) -> None:
        self._kernels = kernels
        self._in_a_row = in_a_row
        self._kept: list[Any] = []

    def list_nodes(self, _: int) -> list[int]:
        return list(range(len(self._kernels)))

    def get_type(self, _: int) -> int:
        return 0

    def read_kernel(self, node: int) -> KernelParams:
        parameters = self._kernels[node][1]
        buffers = [ctypes.create_string_buffer(data, len(data)) for data in parameters]
        addresses = [ctypes.addressof(one) for one in buffers]
        if self._in_a_row:
            buffers = [ctypes.create_string_buffer(b"".join(parameters))]
            start = ctypes.addressof(buffers[0])
            addresses = [
                start + offset for offset, _ in self.list_parameters(KernelParams(node + 1))
            ]
        pointers = (ctypes.c_void_p * len(parameters))(*addresses)
        self._kept += [buffers, pointers]
        return KernelParams(func=node + 1, params=pointers)

    def get_kernel_name(self, params: KernelParams) -> str:
        name: str = self._kernels[params.func - 1][0]
        return name

    def list_parameters(self, params: KernelParams) -> list[tuple[int, int]]:
        sizes = [len(data) for data in self._kernels[params.func - 1][1]]
        return [(sum(sizes[:index]), size) for index, size in enumerate(sizes)]


def pack(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}Q", *words)


def read(*kernels: Kernel) -> tuple[list[tuple[str, int]], int]:
    reader = NodeReader(Driver(*kernels))  # type: ignore[arg-type]
    words = [(word.parameter, word.value) for word in reader.list_words(1)]
    return words, reader.not_judged


@pytest.mark.parametrize("kernel", [CAT, SCATTER])
def test_of_a_structure_that_is_not_written_whole_the_first_word_is_judged(kernel: str) -> None:
    structure = pack(*range(0x7000, 0x7000 + 90))
    words, not_judged = read((kernel, [pack(0x10), structure]))
    assert words == [("parameter 0", 0x10), ("parameter 1+0", 0x7000)]
    assert not_judged == 89


def test_pointers_of_their_own_and_plain_arrays_are_judged() -> None:
    words, not_judged = read((GATHER, [pack(0x10), pack(0x20), pack(0x30, 0x40, 0x50)]))
    assert words == [
        ("parameter 0", 0x10),
        ("parameter 1", 0x20),
        ("parameter 2+0", 0x30),
        ("parameter 2+8", 0x40),
        ("parameter 2+16", 0x50),
    ]
    assert not_judged == 0


@pytest.mark.parametrize("in_a_row", [False, True])
def test_each_address_is_named_where_it_is_first_met(in_a_row: bool) -> None:
    gather = (GATHER, [pack(0x40), b"1234" * 2, pack(0x30, 0x40)])
    driver: Any = Driver(gather, (FLASH, [pack(0x30), pack(0x50)]), in_a_row=in_a_row)
    words = list(NodeReader(driver).list_words(1, 0x30, 0x60))
    assert [(word.node, word.parameter, word.value) for word in words] == [
        (0, "parameter 0", 0x40),
        (0, "parameter 2+0", 0x30),
        (1, "parameter 1", 0x50),
    ]


def test_words_outside_the_memory_in_question_are_counted_and_left_out() -> None:
    driver: Any = Driver((GATHER, [pack(0x10), b"1234", pack(0x30, 0x40)]))
    reader = NodeReader(driver)
    words = [(word.parameter, word.value) for word in reader.list_words(1, 0x30, 0x40)]
    assert words == [("parameter 2+0", 0x30)]
    assert reader.count == 3


def test_structures_of_other_libraries_are_judged() -> None:
    words, _ = read((FLASH, [pack(*range(100))]))
    assert len(words) == 100


def test_the_structures_are_as_large_as_cuda_h_has_them() -> None:
    sizes = [ctypes.sizeof(one) for one in (KernelParams, MemcpyParams, MemsetParams)]
    assert sizes == [72, 200, 40]


def test_a_history_is_read_in_the_order_of_time() -> None:
    entries: list[dict[str, Any]] = [
        {"action": "free_requested", "addr": 64, "size": 8, "time_us": 9},
        {"action": "alloc", "addr": 64, "size": 8, "time_us": 4},
        {"action": "segment_alloc", "addr": 0, "size": 99, "time_us": 1},
    ]
    history = read_history(entries)
    assert history is not None
    assert history.begins == 4
    assert read_history([]) is None


def test_the_compiler_is_not_imported_to_look_for_its_code() -> None:
    class Torch:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"imported {name}")

    torch = Torch()
    with leave_compiler_out(torch):
        assert not hasattr(torch._inductor, "codecache")
    assert "_inductor" not in vars(torch)


def test_pinned_memory_is_followed_to_the_death_of_its_storage() -> None:
    source = torch.ones(100)
    inside = source.data_ptr() + 80
    [(address, owner)] = find_host_owners({inside}).items()
    assert address == inside
    assert (owner.what, owner.size, owner.is_gone) == ("float32 [100]", 400, False)
    assert owner.holds(inside) and not owner.holds(source.data_ptr() + 400)
    del source
    assert owner.is_gone and not owner.holds(inside)
    assert "test_audit_nodes.py" in owner.freed[0][0]


def test_an_owner_of_host_memory_is_looked_for_once() -> None:
    source = torch.ones(100)
    known: list[HostOwner] = []
    words = [Word(0, MEMCPY, "source", source.data_ptr()), Word(0, MEMCPY, "target", 0)]
    [(_, first)] = _find_host(words, MemoryMap([]), known)
    [(_, again)] = _find_host(words, MemoryMap([]), known)
    assert again is first
    assert known == [first]


class Copies(Driver):
    """A graph of a copy from the host, a fill, and a graph inside with one kernel."""

    def list_nodes(self, graph: int) -> list[int]:
        return [1, 2, 4] if graph == 1 else [0]

    def get_type(self, node: int) -> int:
        return node

    def get_child(self, _: int) -> int:
        return 2

    def read_memcpy(self, _: int) -> MemcpyParams:
        copied = MemcpyParams()
        copied.source.type, copied.source.host, copied.source.x = 1, 0x1000, 16
        copied.target.type, copied.target.device = 2, 0x2000
        copied.target.pitch, copied.target.y = 64, 3
        return copied

    def read_memset(self, _: int) -> MemsetParams:
        return MemsetParams(target=0x3000)


def test_copies_fills_and_graphs_inside_a_graph_are_read() -> None:
    reader = NodeReader(Copies((GATHER, [pack(0x40)])))  # type: ignore[arg-type]
    words = [(word.kernel, word.parameter, word.value) for word in reader.list_words(1)]
    assert words == [
        ("memcpy", "source", 0x1010),
        ("memcpy", "target", 0x20C0),
        ("memset", "target", 0x3000),
        (GATHER, "parameter 0", 0x40),
    ]
    assert reader.count == 4

"""Which words of a CUDA graph's nodes count as addresses. The driver is a table of kernels."""

import ctypes
import struct
from typing import Any

import pytest

from harness.hook.audit.allocator import leave_compiler_out, read_history
from harness.hook.audit.cuda_nodes import NodeReader
from harness.hook.audit.driver_api import KernelParams, MemcpyParams, MemsetParams

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
def test_a_structure_that_is_not_written_whole_is_not_judged(kernel: str) -> None:
    structure = pack(*range(0x7000, 0x7000 + 90))
    words, not_judged = read((kernel, [pack(0x10), structure]))
    assert words == [("parameter 0", 0x10)]
    assert not_judged == 90


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

"""What cuda-gdb says of a core dump, read: the kernel, the exception, the place."""

from hypothesis import given
from hypothesis import strategies as st

from harness.core.kernel_fault import describe_fault

OUTPUT = """Opening GPU coredump: /tmp/x/core-71

CUDA Exception: Warp Illegal Address
The exception was triggered at PC 0x7f9b  gather.cu:12
[Current focus set to CUDA kernel 0, grid 1234, block (0,3,0), thread (32,0,0), device 0, sm 0]
#0  0x00007f9b0c in void at::gather<16, long>(char*, int,
 long)<<<(64,1,1),(128,1,1)>>> ()
"""


def test_the_kernel_the_exception_and_the_place_are_found() -> None:
    text = OUTPUT.replace("int,\n long", "int, long")
    assert describe_fault(text) == [
        "kernel: void at::gather<16, long>(char*, int, long), grid (64,1,1), block (128,1,1)",
        "exception: Warp Illegal Address",
        "at: block (0,3,0), thread (32,0,0), device 0",
    ]


def test_a_kernel_is_named_though_cuda_gdb_breaks_off_before_the_frame() -> None:
    text = (
        "CUDA Exception: Warp Illegal Address\n"
        "The exception was triggered at PC 0x7fdbe77ad1e0  void at::sum<4>(int, float)\n"
        "This is a bug, please report it.\n"
    )
    assert describe_fault(text) == [
        "kernel: void at::sum<4>(int, float)",
        "exception: Warp Illegal Address",
    ]
    place = text.replace("void at::sum<4>(int, float)", "gather.cu:12")
    assert describe_fault(place) == ["exception: Warp Illegal Address"]


def test_a_core_without_a_kernel_says_nothing() -> None:
    assert describe_fault("warning: no CUDA kernels are present\n") == []
    assert describe_fault("") == []


@given(st.text(alphabet="#0x<>()1, in\nCUDAException:kernel[]grid", max_size=400))
def test_no_output_breaks_the_reader(text: str) -> None:
    assert len(describe_fault(text)) <= 3

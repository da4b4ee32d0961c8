"""Mangled names as the driver gave them on an H100, and names that are not mangled."""

import pytest

from harness.core.kernel_names import shorten_kernel


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "_ZN2at6native24vectorized_gather_kernelILi16ElEEvPcS2_PT0_illllb",
            "at::native::vectorized_gather_kernel",
        ),
        (
            "_ZN2at6native29vectorized_elementwise_kernelILi4ENS0_13BinaryFunctorIfffNS0_",
            "at::native::vectorized_elementwise_kernel<BinaryFunctor>",
        ),
        (
            "_ZN2at6native40_GLOBAL__N__0f1a8107_8_Shape_cu_49f7391c30CatArrayBatchedCopy_vectorizedIN",
            "at::native::CatArrayBatchedCopy_vectorized",
        ),
        ("_Z12scale_kernelPfi", "scale_kernel"),
        ("aten.gather.default", "aten.gather.default"),
        ("triton_poi_fused_add_0", "triton_poi_fused_add_0"),
        ("_ZN", "_ZN"),
        ("", ""),
    ],
)
def test_a_kernel_is_shown_without_its_arguments(name: str, shown: str) -> None:
    assert shorten_kernel(name) == shown

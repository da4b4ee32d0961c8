"""Kinds against what CUDA, torch, cuBLAS and NCCL really said on an H100 (tests/data)."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.kinds import Exc, Kind, classify_exception

COLLECTED: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "cuda_errors.json").read_text()
)["errors"]

EXPECTED = {
    "illegal_address": Kind.ILLEGAL_ACCESS,
    "misaligned_address": Kind.CUDA_ERROR,
    "launch_failure": Kind.CUDA_ERROR,
    "invalid_configuration": Kind.CUDA_ERROR,
    "stack_overflow_on_device": Kind.CUDA_ERROR,
    "device_assert": Kind.DEVICE_ASSERT,
    "out_of_memory_in_allocator": Kind.OUT_OF_MEMORY,
    "out_of_memory_in_cuda_malloc": Kind.OUT_OF_MEMORY,
    "out_of_memory_in_cupy": Kind.OUT_OF_MEMORY,
    "out_of_memory_pinned": Kind.OUT_OF_MEMORY,
    "out_of_memory_on_host": Kind.OUT_OF_MEMORY,
    "out_of_memory_in_cublas": Kind.OUT_OF_MEMORY,
    "synchronise_while_capturing": Kind.CAPTURE_ERROR,
    "read_a_value_while_capturing": Kind.CAPTURE_ERROR,
    "invalidate_a_capture": Kind.CAPTURE_ERROR,
    "replay_after_its_memory_was_freed": Kind.ILLEGAL_ACCESS,
    "one_device_twice_in_nccl": Kind.ERROR,
}


def test_every_collected_error_has_its_kind_stated() -> None:
    assert set(COLLECTED) == set(EXPECTED)


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_an_error_is_named_by_its_own_line(case: str) -> None:
    said = COLLECTED[case]
    found = classify_exception(Exc(tuple(said["types"]), said["message"]), in_setup=False)
    assert found is EXPECTED[case]


def test_the_collected_texts_carry_the_advice_that_once_misled() -> None:
    advice = "to enable device-side assertions"
    misled = [name for name, said in COLLECTED.items() if advice in said["message"]]
    assert {"launch_failure", "illegal_address"} <= set(misled)

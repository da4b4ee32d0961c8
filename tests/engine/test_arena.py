"""The arena's blocks: never two owners of a byte, never a byte lost, freed neighbours joined."""

import itertools
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from harness.core.capture import sizes_up_to
from harness.engine.capture.arena import (
    MIB,
    ROUNDING,
    ArenaExhausted,
    Block,
    BlockAllocator,
    round_size,
    segment_size,
)

CAPACITY = 256 * MIB
SIZES = st.one_of(
    st.integers(0, 4096),
    st.integers(MIB - 1024, MIB + 1024),
    st.integers(0, 12 * MIB),
)


class ArenaMachine(RuleBasedStateMachine):
    """Any sequence of allocations and releases."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = BlockAllocator(CAPACITY)
        self.used: list[tuple[Block, int]] = []

    @rule(size=SIZES, pool=st.sampled_from(["verify", "draft"]))
    def allocate(self, size: int, pool: str) -> None:
        if self.blocks.reserved > CAPACITY // 2:
            return
        block = self.blocks.allocate(size, pool)
        assert block.pool == pool
        self.used.append((block, size))

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.used:
            index = data.draw(st.integers(0, len(self.used) - 1))
            self.blocks.release(self.used.pop(index)[0])

    @invariant()
    def blocks_tile_the_reserved_span(self) -> None:
        spans = [block for block, _ in self.used] + self.blocks.free_blocks()
        end = 0
        for block in sorted(spans, key=lambda block: block.offset):
            assert block.offset == end
            end += block.size
        assert end == self.blocks.reserved
        assert end == sum(self.blocks.reserved_by_pool.values())

    @invariant()
    def a_segment_belongs_to_one_pool(self) -> None:
        spans = [block for block, _ in self.used] + self.blocks.free_blocks()
        owners = {(block.segment, block.pool) for block in spans}
        assert len(owners) == len({segment for segment, _ in owners})

    @invariant()
    def every_block_is_aligned_and_large_enough(self) -> None:
        for block, size in self.used:
            assert block.offset % ROUNDING == 0
            assert block.size >= max(size, 1)

    @invariant()
    def no_two_free_blocks_of_a_segment_touch(self) -> None:
        free = self.blocks.free_blocks()
        for left, right in itertools.pairwise(free):
            touching = left.offset + left.size == right.offset
            assert not (touching and left.segment == right.segment)

    @invariant()
    def bytes_in_use_are_those_of_the_blocks(self) -> None:
        assert self.blocks.in_use == sum(block.size for block, _ in self.used)
        assert self.blocks.peak >= self.blocks.in_use


TestArenaMachine = ArenaMachine.TestCase
TestArenaMachine.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)


@given(SIZES)
def test_a_request_is_rounded_to_units_of_512_bytes(size: int) -> None:
    assert round_size(size) % ROUNDING == 0
    assert 0 <= round_size(size) - size <= ROUNDING
    assert segment_size(round_size(size)) >= round_size(size)


def test_a_freed_block_is_taken_again_at_the_same_address() -> None:
    blocks = BlockAllocator(CAPACITY)
    first, _ = blocks.allocate(1000), blocks.allocate(1000)
    blocks.release(first)
    assert blocks.allocate(900).offset == first.offset


def test_the_smallest_free_block_that_fits_is_taken() -> None:
    blocks = BlockAllocator(CAPACITY)
    large, _, small, _ = (blocks.allocate(n) for n in (8192, 512, 1024, 512))
    blocks.release(large)
    blocks.release(small)
    assert blocks.allocate(1024).offset == small.offset


def test_small_and_large_requests_share_no_segment() -> None:
    blocks = BlockAllocator(CAPACITY)
    assert blocks.allocate(512).segment != blocks.allocate(2 * MIB).segment


def test_a_block_released_twice_is_refused() -> None:
    blocks = BlockAllocator(CAPACITY)
    block = blocks.allocate(512)
    blocks.release(block)
    with pytest.raises(ValueError, match="not in use"):
        blocks.release(block)


def test_an_arena_without_room_for_a_segment_says_so() -> None:
    with pytest.raises(ArenaExhausted, match="cannot hold"):
        BlockAllocator(MIB).allocate(512)


def test_a_freed_block_serves_its_own_pool_alone() -> None:
    blocks = BlockAllocator(CAPACITY)
    blocks.release(blocks.allocate(1000, "verify"))
    other = blocks.allocate(1000, "draft")
    assert blocks.allocate(1000, "verify").offset != other.offset
    assert blocks.reserved_by_pool == {"verify": 2 * MIB, "draft": 2 * MIB}
    assert blocks.reserved == 4 * MIB


@pytest.mark.parametrize(
    ("descending", "measured"),
    [
        (False, {1: 2, 16: 2, 24: 22, 64: 22, 72: 24, 200: 24, 208: 44, 256: 44}),
        (True, {256: 42, 136: 42, 128: 44, 1: 44}),
    ],
)
def test_the_pool_grows_where_an_h200s_did(descending: bool, measured: dict[int, int]) -> None:
    """MiB after these of 35 captures: docs/reference/gpu/2026-11-23-acceptance.md."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/pool_growth.py"))
    sizes = sorted(sizes_up_to(256), reverse=descending)
    pool = dict(zip(sizes, script["growth"](script["Step"](), sizes), strict=True))
    assert {bs: pool[bs] for bs in measured} == measured

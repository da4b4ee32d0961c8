"""Whose memory a pointer leads to: decided from two states of the allocator and its history."""

from hypothesis import given
from hypothesis import strategies as st

from harness.hook.audit.model import (
    Block,
    Change,
    History,
    MemoryMap,
    Moments,
    Ownership,
    Pointer,
    resolve_pointer,
)
from harness.hook.audit.spans import Span, SpanSet

CAPTURE = Moments(began=10.0, ended=20.0)
INPUT = Block(4096, 512, "0,0", True, ("make_input suite.py:3",))


def point_to(block: Block | None, *, is_own: bool = False) -> Pointer:
    return Pointer("scale_kernel", "argument 1", 0, 4096 + 64, block, is_own)


def resolve(block: Block | None, now: list[Block], *changes: Change) -> Ownership:
    history = History(changes, 0.0)
    return resolve_pointer(point_to(block), MemoryMap(now), history, CAPTURE).ownership


def test_a_block_that_its_owner_kept_is_live() -> None:
    assert resolve(INPUT, [INPUT]) is Ownership.LIVE


def test_a_block_that_is_free_now_was_freed() -> None:
    free = Block(4096, 512, "0,0", False)
    assert resolve(INPUT, [free]) is Ownership.FREED


def test_a_block_joined_to_its_free_neighbours_was_freed() -> None:
    assert resolve(INPUT, [Block(0, 1 << 20, "0,0", False)]) is Ownership.FREED


def test_a_block_whose_segment_went_back_to_the_driver_was_freed() -> None:
    assert resolve(INPUT, []) is Ownership.FREED


def test_an_equal_block_of_another_owner_is_told_by_the_history() -> None:
    changes = (Change(4096, 512, True, 30.0, ("drop suite.py:9",)), Change(4096, 512, False, 31.0))
    owner = Block(4096, 512, "0,0", True, ("take suite.py:11",))
    found = resolve_pointer(point_to(INPUT), MemoryMap([owner]), History(changes, 0.0), CAPTURE)
    assert found.ownership is Ownership.REALLOCATED
    assert found.allocated == ("make_input suite.py:3",)
    assert found.freed == ("drop suite.py:9",)
    assert found.owner == ("take suite.py:11",)


def test_a_larger_block_in_its_place_is_told_without_a_history() -> None:
    now = MemoryMap([Block(4096, 2048, "0,0", True)])
    assert resolve_pointer(point_to(INPUT), now, None, CAPTURE).ownership is Ownership.REALLOCATED


def test_an_owner_that_let_go_during_capture_is_told_by_the_history() -> None:
    free = Block(4096, 512, "0,0", False)
    during = (Change(4096, 512, False, 5.0), Change(4096, 512, True, 15.0))
    assert resolve(free, [free], *during) is Ownership.FREED


def test_a_block_that_was_free_already_before_capture_is_no_finding() -> None:
    free = Block(4096, 512, "0,0", False)
    assert resolve(free, [free]) is Ownership.UNKNOWN
    assert resolve(free, [INPUT]) is Ownership.UNKNOWN
    before = (Change(4096, 512, False, 5.0), Change(4096, 512, True, 8.0))
    assert resolve(free, [free], *before) is Ownership.UNKNOWN


def test_a_word_that_is_no_address_is_unknown() -> None:
    assert resolve(None, [INPUT]) is Ownership.UNKNOWN


def test_memory_of_the_graphs_own_pool_may_be_anybodys() -> None:
    pointer = point_to(INPUT, is_own=True)
    assert resolve_pointer(pointer, MemoryMap([]), None, CAPTURE).ownership is Ownership.POOL


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12))
def test_a_set_of_spans_holds_the_addresses_that_were_added(added: list[tuple[int, int]]) -> None:
    spans, truth = SpanSet(), set[int]()
    for start, length in added:
        spans.add(Span(start, start + length))
        truth |= set(range(start, start + length))
    assert {address for span in spans for address in range(*span)} == truth
    for start in range(0, 72, 3):
        for end in (start, start + 1, start + 5):
            wanted = set(range(start, end))
            assert spans.covers(Span(start, end)) == (wanted <= truth)
            assert spans.meets(Span(start, end)) == bool(wanted & truth)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=10), st.integers(0, 60))
def test_an_address_is_found_in_the_block_that_holds_it(
    sizes: list[tuple[int, int]], address: int
) -> None:
    blocks, at = [], 0
    for size, gap in sizes:
        blocks.append(Block(at, size, "", True))
        at += size + gap
    holding = [block for block in blocks if block.address <= address < block.address + block.size]
    assert MemoryMap(blocks).find(address) == (holding[0] if holding else None)

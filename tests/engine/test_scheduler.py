"""Admission, finishing and abort, with a plain allocator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.engine.cache.paging import Paging
from harness.engine.cache.pool import PageAllocator
from harness.engine.serving.sampling import follow_accepted
from harness.engine.serving.scheduler import Scheduler

EOS = 1


def make(pages: int = 100, max_running: int = 2) -> tuple[Scheduler, Paging]:
    paging = Paging(PageAllocator(pages + 1), 1, caching=False)
    return Scheduler(paging, max_running, 50, [EOS], lambda tokens: tokens), paging


def test_requests_run_in_the_order_they_came_as_rows_allow() -> None:
    scheduler, _ = make()
    first, second, third = (scheduler.submit([5], 3, 0.0) for _ in range(3))
    assert scheduler.admit() == [first, second]
    assert [first.row, second.row, third.row] == [0, 1, None]


def test_a_request_waits_for_its_pages() -> None:
    scheduler, allocator = make(pages=10)
    first, second = scheduler.submit([5] * 5, 3, 0.0), scheduler.submit([5] * 5, 3, 0.0)
    assert scheduler.admit() == [first]
    scheduler.abort(first.id)
    assert allocator.free == 10
    assert scheduler.admit() == [second]


def test_an_end_token_finishes_and_what_follows_it_is_dropped() -> None:
    scheduler, allocator = make()
    request = scheduler.submit([5], 9, 0.0)
    scheduler.admit()
    scheduler.record(request, [7, EOS, 8], [0.0, 0.0, 0.0])
    assert (request.tokens, request.finish_reason) == ([7, EOS], "stop")
    assert (allocator.free, request.row, scheduler.busy) == (100, None, False)


def test_the_limit_finishes_inside_a_step() -> None:
    scheduler, _ = make()
    request = scheduler.submit([5], 2, 0.0)
    scheduler.admit()
    scheduler.record(request, [7, 8, 9], [0.0, 0.0, 0.0])
    assert (request.tokens, request.finish_reason) == ([7, 8], "length")


def test_abort_frees_waiting_and_running_alike() -> None:
    scheduler, allocator = make()
    requests = [scheduler.submit([5], 3, 0.0) for _ in range(3)]
    scheduler.admit()
    assert scheduler.abort_all() == 3
    assert {request.finish_reason for request in requests} == {"abort"}
    assert (allocator.free, scheduler.busy) == (100, False)
    assert not scheduler.abort(requests[0].id)


@pytest.mark.parametrize(("prompt", "limit"), [([], 3), ([5], 0), ([5] * 48, 3)])
def test_a_request_that_can_never_run_is_refused(prompt: list[int], limit: int) -> None:
    with pytest.raises(UsageError):
        make()[0].submit(prompt, limit, 0.0)


@given(st.lists(st.integers(1, 8), max_size=20))
def test_pages_are_never_shared_and_never_lost(counts: list[int]) -> None:
    allocator = PageAllocator(31)
    held: list[list[int]] = []
    for count in counts:
        pages = allocator.allocate(count)
        if pages is None:
            allocator.release(held.pop(0))
        else:
            held.append(pages)
        out = [page for pages in held for page in pages]
        assert len(out) == len(set(out)) == 30 - allocator.free
        assert 0 not in out


def test_a_page_released_twice_is_refused() -> None:
    allocator = PageAllocator(4)
    pages = allocator.allocate(2)
    assert pages is not None
    allocator.release(pages)
    with pytest.raises(ValueError, match="not allocated"):
        allocator.release(pages)


@given(st.lists(st.integers(0, 2), max_size=5), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_of_a_chain_the_longest_common_prefix_is_accepted(
    drafts: list[int], own: list[int]
) -> None:
    path = follow_accepted(drafts, range(len(drafts)), own)
    count = len(path) - 1
    assert path == list(range(count + 1))
    assert drafts[:count] == own[:count]
    assert count == len(drafts) or drafts[count] != own[count]

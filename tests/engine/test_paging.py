"""Pages under a scheduler: shared, kept, evicted, retracted, never lost and never owned twice."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.engine.cache.paging import Paging, Shared
from harness.engine.cache.pool import PageAllocator
from harness.engine.cache.prefix_tree import PrefixTree
from harness.engine.serving.scheduler import Request, Scheduler

SLOTS = 3
CONTEXT = 24


def count_pages(tokens: int, size: int) -> int:
    return -(-tokens // size)


def test_a_prefix_is_shared_in_whole_pages_and_one_token_is_left() -> None:
    paging = Paging(PageAllocator(20), 4)
    tokens = list(range(12))
    pages = paging.take(4)
    assert pages
    paging.give_back(tokens, 11, pages, Shared())
    assert (paging.cached, paging.free) == (2, 19)
    assert paging.share([*range(8), 99]).pages == pages[:2]
    # All eight are cached, but the logits of the eighth are wanted.
    assert paging.share(list(range(8))).pages == pages[:1]
    assert paging.share([*range(7), 99]).pages == pages[:1]


def test_with_a_draft_head_a_page_is_shared_only_where_the_next_token_is_the_same() -> None:
    paging = Paging(PageAllocator(20), 4, overlap=1)
    pages = paging.take(4)
    assert pages
    paging.give_back(list(range(12)), 11, pages, Shared())
    assert paging.share([*range(8), 99, 100]).pages == pages[:1]
    assert paging.share([*range(9), 99]).pages == pages[:2]


def test_what_is_read_is_not_evicted_and_the_oldest_leaf_goes_first() -> None:
    tree = PrefixTree(1, 0)
    assert tree.insert([1, 2, 3], [11, 12, 13]) == []
    assert tree.insert([1, 5], [21, 15]) == [21]
    read = tree.match([1, 2])
    tree.lock(read)
    assert tree.evictable == 2
    assert tree.evict(9) == [13, 15]
    tree.unlock(read)
    assert tree.evict(9) == [12, 11]
    assert (tree.pages, tree.evictable) == (0, 0)


def test_without_the_cache_nothing_is_kept() -> None:
    paging = Paging(PageAllocator(9), 1, caching=False)
    pages = paging.take(5)
    assert pages
    paging.give_back([1, 2, 3, 4, 5], 4, pages, Shared())
    assert (paging.cached, paging.free) == (0, 8)
    assert paging.share([1, 2, 3]).pages == []


@given(st.integers(1, 256), st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=600)))
def test_at_any_page_size_what_matches_was_inserted(size: int, texts: list[list[int]]) -> None:
    tree = PrefixTree(size, 0)
    page = 0
    known: set[tuple[int, ...]] = set()
    for text in texts:
        count = len(text) // size
        tree.insert(text, range(page, page + count))
        page += count
        known |= {tuple(text[: size * i]) for i in range(1, count + 1)}
        for other in texts:
            matched = len(tree.match(other))
            longest = max((i for i in range(len(other) // size + 1)
                           if not i or tuple(other[: size * i]) in known), default=0)  # fmt: skip
            assert matched == longest


class SchedulerMachine(RuleBasedStateMachine):
    """Requests come, run, end and are aborted in any order, in a pool that is too small for all."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = random.Random(0)
        self.size = 1
        self.requests: list[Request] = []
        self.build(1, 0, caching=True)

    def build(self, size: int, overlap: int, *, caching: bool) -> None:
        self.size = size
        self.total = count_pages(CONTEXT + SLOTS, size) + 4
        self.allocator = PageAllocator(self.total + 1)
        self.paging = Paging(self.allocator, size, overlap=overlap, caching=caching)
        self.scheduler = Scheduler(
            self.paging, 3, CONTEXT, [9], lambda tokens: count_pages(tokens + SLOTS, size)
        )

    @precondition(lambda self: not self.requests)
    @rule(size=st.integers(1, 8), overlap=st.integers(0, 1), caching=st.booleans())
    def start_again(self, size: int, overlap: int, caching: bool) -> None:
        self.build(size, overlap, caching=caching)

    @rule(prompt=st.lists(st.integers(0, 1), min_size=1, max_size=12), limit=st.integers(1, 12))
    def submit(self, prompt: list[int], limit: int) -> None:
        self.requests.append(self.scheduler.submit(prompt, limit, 0.0))

    @rule(tokens=st.lists(st.sampled_from([0, 1, 1, 9]), min_size=1, max_size=SLOTS))
    def step(self, tokens: list[int]) -> None:
        grown, _ = self.scheduler.grow()
        assert all(request.row is not None for request in grown)
        for request in self.scheduler.admit():
            self.scheduler.record(request, [1], [0.0])
        for request in self.scheduler.running:
            held = len(request.pages) * self.size
            assert held >= len(request.context) + SLOTS, "a step would write past its pages"
            self.scheduler.record(request, tokens, [0.0] * len(tokens))

    @precondition(lambda self: self.requests)
    @rule(which=st.integers(0, 99))
    def abort(self, which: int) -> None:
        request = self.requests[which % len(self.requests)]
        was_open = request.finish_reason is None
        assert self.scheduler.abort(request.id) == was_open

    @rule()
    def abort_all(self) -> None:
        self.scheduler.abort_all()
        assert self.paging.free == self.total

    @invariant()
    def every_page_has_one_holder(self) -> None:
        running = self.scheduler.running
        owned = [p for r in running for p in r.pages[len(r.shared.nodes) :]]
        assert len(owned) == len(set(owned))
        assert self.allocator.free + self.paging.cached + len(owned) == self.total
        shared = {node.page for r in running for node in r.shared.nodes}
        assert not shared & set(owned)
        assert self.paging.free == self.total - len(owned) - len(shared)
        locks = Counter(id(node) for r in running for node in r.shared.nodes)
        assert all(node.locks == locks[id(node)] for r in running for node in r.shared.nodes)

    def teardown(self) -> None:
        for _ in range(3000):
            if not self.scheduler.busy:
                break
            self.step([1])
        assert not self.scheduler.busy, "somebody starves"
        assert self.paging.free == self.total


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_last_admitted_is_retracted_and_comes_back_first() -> None:
    paging = Paging(PageAllocator(13), 1, caching=False)
    scheduler = Scheduler(paging, 3, 10, [9], lambda tokens: tokens)
    first, second, third = (scheduler.submit([i] * 3, 6, 0.0) for i in range(3))
    assert scheduler.admit() == [first, second, third]
    for request in (first, second, third):
        scheduler.record(request, [1, 1], [0.0, 0.0])
    grown, retracted = scheduler.grow()
    assert (grown, retracted) == ([first, second], [third])
    assert (third.tokens, third.row, third.pages) == ([1, 1], None, [])
    assert scheduler.retractions == 1
    scheduler.abort(first.id)
    assert scheduler.admit() == [third]
    assert third.context == [2, 2, 2, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 7, 256])
def test_a_request_alone_always_fits_a_pool_made_for_one(size: int) -> None:
    total = count_pages(CONTEXT + SLOTS, size)
    paging = Paging(PageAllocator(total + 1), size)
    scheduler = Scheduler(paging, 2, CONTEXT, [9], lambda tokens: count_pages(tokens + SLOTS, size))
    requests = [scheduler.submit([1] * 4, 20, 0.0) for _ in range(3)]
    for _ in range(200):
        scheduler.grow()
        for request in scheduler.admit():
            scheduler.record(request, [1], [0.0])
        for request in scheduler.running:
            scheduler.record(request, [1], [0.0])
    assert [request.finish_reason for request in requests] == ["length"] * 3

"""Pages of the KV pool as requests get them: free, shared, or freed by eviction. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.engine.cache.pool import PageAllocator
from harness.engine.cache.prefix_tree import Node, PrefixTree


@dataclass(frozen=True, slots=True)
class Shared:
    """Cached pages that a request reads and does not own, from its first token on."""

    nodes: tuple[Node, ...] = ()

    @property
    def pages(self) -> list[int]:
        """In order of position."""
        return [node.page for node in self.nodes]


class Paging:
    """The pool's pages. Each is free, owned by one request, or cached in the prefix tree."""

    def __init__(
        self, allocator: PageAllocator, page_size: int, *, overlap: int = 0, caching: bool = True
    ) -> None:
        """`overlap` as for `PrefixTree`; without `caching` nothing is ever shared."""
        self._allocator = allocator
        self._page_size = page_size
        self._tree = PrefixTree(page_size, overlap)
        self._caching = caching

    @property
    def free(self) -> int:
        """Pages that no request owns or reads."""
        return self._allocator.free + self._tree.evictable

    @property
    def cached(self) -> int:
        """Pages held for whoever begins with their tokens."""
        return self._tree.pages

    def take(self, count: int) -> list[int] | None:
        """`count` pages for one owner, evicting cached ones; None where so many are not free."""
        lacking = count - self._allocator.free
        if lacking > self._tree.evictable:
            return None
        if lacking > 0:
            self._allocator.release(self._tree.evict(lacking))
        return self._allocator.allocate(count)

    def share(self, tokens: Sequence[int]) -> Shared:
        """Lock the cached pages that `tokens` begin with. At least one token is left to compute."""
        found = self._tree.match(tokens)[: (len(tokens) - 1) // self._page_size]
        self._tree.lock(found)
        return Shared(tuple(found))

    def unshare(self, shared: Shared) -> None:
        """Undo one `share`."""
        self._tree.unlock(shared.nodes)

    def give_back(
        self, tokens: Sequence[int], computed: int, pages: Sequence[int], shared: Shared
    ) -> None:
        """End an owner's hold on `pages`, of which the first are the shared ones.

        The whole pages of its first `computed` tokens stay cached, the rest is free again.
        """
        whole = max(computed // self._page_size, len(shared.nodes)) if self._caching else 0
        kept = pages[: min(whole, len(pages))]
        refused = self._tree.insert(tokens, kept) if kept else []
        self.unshare(shared)
        self._allocator.release([*refused, *pages[len(kept) :]])

    def release(self, pages: Sequence[int]) -> None:
        """Free pages that hold nothing worth keeping."""
        self._allocator.release(list(pages))

"""What finished requests left in the KV pool, by the tokens it was computed from. Pure.

A tree whose edges are whole pages of tokens. A page may be shared by whoever begins with all the
tokens on the way to it; it stays while a running request locks it, and goes, oldest leaf first,
when others need its room.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

Key = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Node:
    """One cached page, below the pages before it. `locks`: running requests that read it."""

    key: Key
    page: int
    parent: "Node | None"
    children: "dict[Key, Node]" = field(default_factory=dict)
    locks: int = 0


class PrefixTree:
    """Cached pages by their tokens.

    `overlap`: how many tokens after a page its content depends on. One with an EAGLE head, whose
    entry at a position is computed from the token at the next: a page is shared only with requests
    that go on as its owner did.
    """

    def __init__(self, page_size: int, overlap: int) -> None:
        self._page_size = page_size
        self._overlap = overlap
        self._root = Node((), 0, None)
        #: Unlocked leaves, the least recently used first.
        self._leaves: OrderedDict[int, Node] = OrderedDict()
        self._unlocked = 0
        self._pages = 0

    @property
    def pages(self) -> int:
        """Pages held."""
        return self._pages

    @property
    def evictable(self) -> int:
        """Pages that no running request reads."""
        return self._unlocked

    def match(self, tokens: Sequence[int]) -> list[Node]:
        """The longest cached way along `tokens`, a node per page."""
        node, found = self._root, []
        for key in self._list_keys(tokens, len(tokens)):
            child = node.children.get(key)
            if child is None:
                break
            found.append(child)
            node = child
        return found

    def lock(self, nodes: Sequence[Node]) -> None:
        """Keep the nodes of one way from eviction until `unlock`."""
        for node in nodes:
            self._unlocked -= node.locks == 0
            node.locks += 1
            self._leaves.pop(id(node), None)

    def unlock(self, nodes: Sequence[Node]) -> None:
        """Undo one `lock` of the same nodes, which are now the most recently used."""
        for node in nodes:
            node.locks -= 1
            self._unlocked += node.locks == 0
            self._note_leaf(node)

    def insert(self, tokens: Sequence[int], pages: Sequence[int]) -> list[int]:
        """Take over the pages of the first tokens; answers those that stand here already.

        A page that is known by its tokens and is the very same is neither taken nor answered.
        """
        node, refused = self._root, []
        keys = self._list_keys(tokens, len(pages) * self._page_size + self._overlap)
        for key, page in zip(keys, pages, strict=True):
            child = node.children.get(key)
            if child is None:
                child = self._add(node, key, page)
            elif child.page != page:
                refused.append(page)
            node = child
        self._note_leaf(node)
        return refused

    def evict(self, count: int) -> list[int]:
        """Up to `count` pages of the least recently used leaves, no longer held."""
        freed: list[int] = []
        while self._leaves and len(freed) < count:
            _, node = self._leaves.popitem(last=False)
            assert node.parent is not None
            del node.parent.children[node.key]
            freed.append(node.page)
            self._pages, self._unlocked = self._pages - 1, self._unlocked - 1
            self._note_leaf(node.parent, oldest=True)
        return freed

    def _list_keys(self, tokens: Sequence[int], end: int) -> list[Key]:
        """One key per whole page of `tokens[:end]`, its overlap included."""
        size, overlap = self._page_size, self._overlap
        return [
            tuple(tokens[start : start + size + overlap])
            for start in range(0, end - size - overlap + 1, size)
        ]

    def _add(self, parent: Node, key: Key, page: int) -> Node:
        child = parent.children[key] = Node(key, page, parent)
        self._leaves.pop(id(parent), None)
        self._pages, self._unlocked = self._pages + 1, self._unlocked + 1
        return child

    def _note_leaf(self, node: Node, *, oldest: bool = False) -> None:
        if node.parent is None or node.children or node.locks:
            return
        self._leaves[id(node)] = node
        self._leaves.move_to_end(id(node), last=not oldest)

"""Draft trees against plain Python: how they grow, what a node sees, which nodes are accepted."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.core.speculation import SpecShape, largest_tree
from harness.engine.cache.pool import allocate_pool, find_slots, move_slots, split_layers
from harness.engine.serving.sampling import follow_accepted
from harness.engine.speculation.draft_tree import (
    BranchOverflow,
    BranchTable,
    Growth,
    compute_log_probabilities,
    find_branches,
)

CPU = torch.device("cpu")
VOCABULARY = 11
Path = tuple[int, ...]


class Oracle:
    """Log-probabilities, [vocab] float64, that follow from a path's tokens alone."""

    def __init__(self, seed: int, ties: bool) -> None:
        self._seed, self._ties = seed, ties

    def __call__(self, path: Path) -> Tensor:
        seed = hash((self._seed, path)) % 2**31
        logits = torch.randn(
            VOCABULARY, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        # A token that is all but certain adds 0 to its path's score: parent and child tie.
        return compute_log_probabilities(logits * (5000.0 if self._ties else 1.0))


def searched(oracle: Callable[[Path], Tensor], spec: SpecShape) -> dict[Path, float]:
    """All paths that a beam search tries, in order, with their scores."""
    tried: dict[Path, float] = {}
    beams: dict[Path, float] = {(): 0.0}
    for _ in range(spec.steps):
        found: dict[Path, float] = {}
        for path, score in beams.items():
            gains = oracle(path).tolist()
            best = sorted(range(len(gains)), key=lambda token: -gains[token])[: spec.topk]
            found |= {(*path, token): score + gains[token] for token in best}
        tried |= found
        beams = dict(sorted(found.items(), key=lambda item: -item[1])[: spec.topk])
    return tried


def grown(oracles: list[Oracle], spec: SpecShape) -> Iterator[list[Path]]:
    """The nodes' paths of each row of a tree that was grown in one batch."""
    growth = Growth(spec.topk)
    tokens = growth.start(torch.stack([oracle(()) for oracle in oracles]))
    paths: list[list[Path]] = [[(token,) for token in row] for row in tokens.tolist()]
    for _ in range(spec.decode_length):
        asked = [[oracle(p) for p in row] for oracle, row in zip(oracles, paths, strict=True)]
        tokens, beams = growth.extend(torch.stack([torch.stack(row) for row in asked]))
        paths = [
            [(*row[beam], token) for token, beam in zip(*pair, strict=True)]
            for row, pair in zip(
                paths, zip(tokens.tolist(), beams.tolist(), strict=True), strict=True
            )
        ]
    tree = growth.choose(spec.nodes - 1)
    for tokens_of, parents, depths in zip(
        tree.tokens.tolist(), tree.parents.tolist(), tree.depths.tolist(), strict=True
    ):
        nodes: list[Path] = [()]
        for token, parent in zip(tokens_of, parents, strict=True):
            assert parent < len(nodes), "a child stands before its parent"
            nodes.append((*nodes[parent], token))
        assert [len(path) for path in nodes[1:]] == depths
        yield nodes[1:]


SHAPES = [(1, 1, 0), (4, 1, 0), (1, 8, 9), (2, 2, 0), (4, 4, 20), (8, 5, 64), (8, 8, 64), (8, 8, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_a_tree_is_the_best_of_all_that_a_beam_search_tries(
    shape: tuple[int, int, int], seed: int
) -> None:
    spec = SpecShape(*shape)
    oracles = [Oracle(10 * seed + row, ties=False) for row in range(3)]
    for oracle, paths in zip(oracles, grown(oracles, spec), strict=True):
        tried = searched(oracle, spec)
        assert len(tried) == largest_tree(spec.steps, spec.topk) - 1
        best = sorted(tried, key=lambda path: -tried[path])[: spec.nodes - 1]
        assert set(paths) == set(best)
        assert len(paths) == spec.nodes - 1


@pytest.mark.parametrize("shape", SHAPES)
def test_a_node_that_ties_with_its_parent_is_not_taken_without_it(
    shape: tuple[int, int, int],
) -> None:
    spec = SpecShape(*shape)
    oracles = [Oracle(row, ties=True) for row in range(4)]
    tied = any(score == 0.0 for score in searched(oracles[0], spec).values())
    assert tied, "nothing tied: the test tests nothing"
    for oracle, paths in zip(oracles, grown(oracles, spec), strict=True):
        tried = searched(oracle, spec)
        assert all(path[:-1] in {(), *paths} for path in paths)
        # Which of several that tie is taken is free; their scores are not.
        best = sorted(tried.values(), reverse=True)[: spec.nodes - 1]
        assert sorted((tried[path] for path in paths), reverse=True) == pytest.approx(best)


def test_log_probabilities_are_accurate_and_never_positive() -> None:
    sure = compute_log_probabilities(torch.tensor([[300.0, 0.0]], dtype=torch.bfloat16))
    assert sure.dtype is torch.float32
    assert sure.tolist() == [[0.0, -300.0]]
    even = compute_log_probabilities(torch.zeros(1, 4, dtype=torch.float64))
    assert even.tolist()[0] == pytest.approx([-math.log(4)] * 4)


def test_a_branch_table_holds_each_beams_slots_and_one_empty_column() -> None:
    generator = torch.Generator().manual_seed(3)
    rows, topk, length = 3, 5, 7
    table = BranchTable(rows, topk, length, CPU)
    wanted: list[list[list[int]]] = [[[] for _ in range(topk)] for _ in range(rows)]
    for filled in range(1, length + 1):
        beams = torch.randint(topk, (rows, topk), generator=generator)
        slots = torch.randint(1, 1000, (rows, topk), generator=generator)
        branches = table.append(beams, slots)
        wanted = [
            [[*row[beam], slot] for beam, slot in zip(*pair, strict=True)]
            for row, pair in zip(
                wanted, zip(beams.tolist(), slots.tolist(), strict=True), strict=True
            )
        ]
        assert branches.slots.shape == (rows, topk, length + 1)
        assert branches.slots[:, :, :filled].tolist() == wanted
        assert not branches.slots[:, :, filled:].any()
        assert branches.lengths.tolist() == [[filled] * topk] * rows


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(1, 8), st.integers(1, 4))
def test_no_branch_outgrows_its_table(length: int, topk: int, rows: int) -> None:
    table = BranchTable(rows, topk, length, CPU)
    beams = torch.zeros(rows, topk, dtype=torch.int64)
    for _ in range(length):
        table.append(beams, beams)
    with pytest.raises(BranchOverflow, match=rf"decode length {length} cannot take slot"):
        table.append(beams, beams)


@pytest.mark.parametrize(
    ("beams", "slots"),
    [((2, 4), (2, 5)), ((2, 5), (2, 4)), ((2, 4), (3, 4)), ((2, 4), (2, 4, 3)), ((2, 4), (8,))],
)
def test_a_write_of_another_shape_than_the_tables_is_refused(
    beams: tuple[int, ...], slots: tuple[int, ...]
) -> None:
    """(2, 4, 3) is the flake of sglang#27360: all steps' slots at once."""
    table = BranchTable(2, 4, 3, CPU)
    with pytest.raises(BranchOverflow, match="2 rows and 4 beams"):
        table.append(torch.zeros(beams, dtype=torch.int64), torch.zeros(slots, dtype=torch.int64))


@st.composite
def parents(draw: st.DrawFn, path: int = 5) -> list[int]:
    """A random tree: each node's parent, node 0 its own; no path longer than `path`."""
    found, depths = [0], [0]
    for node in range(1, draw(st.integers(1, 14))):
        allowed = [n for n in range(node) if depths[n] < path - 1]
        found.append(draw(st.sampled_from(allowed)))
        depths.append(depths[found[-1]] + 1)
    return found


def way(found: list[int], node: int) -> list[int]:
    """From the root to a node."""
    return [0] if node == 0 else [*way(found, found[node]), node]


@settings(max_examples=60, deadline=None)
@given(parents(), st.integers(0, 9), st.sampled_from([1, 3, 16]), st.integers(0, 99))
def test_a_node_sees_its_ancestors_and_itself(
    found: list[int], start: int, page_size: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    page_table = (torch.randperm(40, generator=generator) + 1).view(1, -1)
    ways = [way(found, node) for node in range(len(found))]
    depths = torch.tensor([[len(one) - 1 for one in ways]])
    branches = find_branches(
        torch.tensor([found]), depths, torch.tensor([[start]]), page_table, page_size, 5
    )
    assert branches.lengths.tolist() == [[len(one) for one in ways]]
    for node, one in enumerate(ways):
        places = [start + ancestor for ancestor in one]
        slots = [int(page_table[0, p // page_size]) * page_size + p % page_size for p in places]
        assert branches.slots[0, node].tolist() == slots + [0] * (5 - len(one))


@settings(max_examples=200, deadline=None)
@given(parents(), st.randoms(use_true_random=False))
def test_the_accepted_path_is_that_of_a_plain_walk(found: list[int], chance: object) -> None:
    sampled = [chance.randrange(4) for _ in found]  # type: ignore[attr-defined]
    drafts: list[int] = []
    for node in range(1, len(found)):
        # Siblings differ, as tokens of one distribution's best do.
        taken = {drafts[i - 1] for i in range(1, node) if found[i] == found[node]}
        drafts.append(next(t for t in range(99) if t not in taken and chance.random() < 0.6))  # type: ignore[attr-defined]
    walked = [0]
    while True:
        here = walked[-1]
        below = [n for n in range(1, len(found)) if found[n] == here and n != here]
        agreed = [n for n in below if drafts[n - 1] == sampled[here]]
        if not agreed:
            break
        walked.append(agreed[0])
    assert follow_accepted(drafts, found[1:], sampled) == walked


def test_moved_slots_are_read_before_any_is_written() -> None:
    pool = allocate_pool((3, 2, 12, 1, 2), CPU, torch.float64)
    pool.copy_(torch.randn(pool.shape, generator=torch.Generator().manual_seed(0)))
    before = pool.clone()
    sources, targets = torch.tensor([[4, 6, 7], [9, 9, 11]]), torch.tensor([[3, 4, 6], [8, 9, 11]])
    move_slots(pool, sources, targets)
    wanted = before.clone()
    for source, target in zip(sources.flatten().tolist(), targets.flatten().tolist(), strict=True):
        wanted[:, :, target] = before[:, :, source]
    assert torch.equal(pool, wanted)
    assert torch.equal(split_layers(pool)[1].values[6], before[1, 1, 7])
    assert find_slots(torch.tensor([[2]]), torch.tensor([[1]]), 4).item() == 9

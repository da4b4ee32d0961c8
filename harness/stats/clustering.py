"""Failures of a cell that come in clusters: judging two such cells by long blocks instead. Pure.

Every other test here assumes independent attempts. If the failures of a cell come in clusters (a
bad hour, a filling disk), a difference between two cells is found far too often: 30 to 49 % of
runs with clusters of 3 to 6 failures, where 5 % are promised.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from harness.stats.contrasts import adjust_holm
from harness.stats.permutation import compute_clustering_p
from harness.stats.planned import CellOutcomes
from harness.stats.sequential import Outcome

#: Blocks into which the attempts of two clustered cells are cut. With fewer no difference could
#: be found; with more a block is no longer than a cluster.
BLOCKS = 8
#: Strict: of independent attempts this share is doubted for nothing, and their difference lost.
CLUSTER_ALPHA = 0.01


def find_clustered(cells: Mapping[str, CellOutcomes]) -> dict[str, float]:
    """Return the cells whose failures come in clusters, with their p.

    `compute_clustering_p` on the valid attempts in lease order, Holm over cells, at CLUSTER_ALPHA.
    """
    valid = {name: [o for o in cell.outcomes if o is not None] for name, cell in cells.items()}
    ps = {name: p for name, o in valid.items() if (p := compute_clustering_p(o)) is not None}
    adjusted = adjust_holm(list(ps.values()))
    return {name: p for name, p in zip(ps, adjusted, strict=True) if p <= CLUSTER_ALPHA}


def compute_block_p(
    arm: Sequence[Outcome], reference: Sequence[Outcome], contrasts: int = 1
) -> float:
    """Return the p-value of a difference between two cells whose failures come in clusters.

    Both cells are cut into blocks of equal length in lease order; a block's difference of failures
    is as likely one way as the other if the cells fail alike, whatever happens within it (Fisher
    1935, randomisation of signs, summed exactly). Bonferroni over the planned contrasts, with
    blocks enough that a difference can be found. Assumes that blocks are longer than clusters.
    """
    import numpy as np

    n = min(len(arm), len(reference))
    count = BLOCKS + (contrasts - 1).bit_length()
    ends = [n * i // count for i in range(count + 1)]
    gaps = [sum(map(bool, arm[a:b])) - sum(map(bool, reference[a:b])) for a, b in pairwise(ends)]
    most = sum(map(abs, gaps))
    chances = np.ones(1)
    for gap in map(abs, gaps):
        shift = np.zeros(2 * gap)
        chances = (np.append(chances, shift) + np.append(shift, chances)) / 2
    distances = np.abs(np.arange(-most, most + 1))
    return min(1.0, contrasts * float(chances[distances >= abs(sum(gaps))].sum()))

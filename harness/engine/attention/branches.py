"""Tree steps: attention to each query's own branch, and its merge with the shared prefix's.

No FlashAttention kernel takes a tree's mask. A branch is short (one slot per depth of the tree),
so its part is two small products in float32; the prefix's part comes from the backend's kernel with
its log-sum-exp, and the two partial softmaxes are weighted by their shares of the joint sum.
"""

import torch
from torch import Tensor

from harness.engine.attention.base import Branches
from harness.engine.cache.pool import LayerCache


def attend_branches(query: Tensor, cache: LayerCache, branches: Branches) -> tuple[Tensor, Tensor]:
    """Answers [bs, n, heads, head_dim] and log-sum-exps [bs, n, heads], at least float32.

    A padding row, of length 0, reads its first slot, so that no NaN reaches the pool.
    """
    bs, count, columns = branches.slots.shape
    heads, dim = cache.keys.shape[1:]
    accurate = torch.promote_types(query.dtype, torch.float32)
    keys, values = (
        pool.index_select(0, branches.slots.flatten()).view(bs, count, columns, heads, dim)
        for pool in (cache.keys, cache.values)
    )
    grouped = query.view(bs, count, heads, -1, dim).to(accurate)
    scores = torch.einsum("bnhgd,bnchd->bnhgc", grouped, keys.to(accurate)) * dim**-0.5
    places = torch.arange(columns, device=query.device)
    hidden = places >= branches.lengths.clamp(min=1).unsqueeze(-1)
    scores = scores.masked_fill(hidden[:, :, None, None], float("-inf"))
    attended = torch.einsum("bnhgc,bnchd->bnhgd", scores.softmax(-1), values.to(accurate))
    return attended.flatten(2, 3), scores.logsumexp(-1).flatten(2)


def merge(
    attended: Tensor, lse: Tensor, prefix: Tensor, branch: Tensor, branch_lse: Tensor
) -> Tensor:
    """Join the prefix's [bs, n, heads, head_dim] answer and the branch's, in the former's dtype.

    lse: the prefix's [bs, heads, n]; prefix: [bs], its lengths. Kernels differ in what they answer
    for an empty prefix (a log-sum-exp of infinity of either sign), so it is set here.
    """
    empty = (prefix == 0).view(-1, 1, 1)
    prefix_lse = lse.transpose(1, 2).masked_fill(empty, float("-inf"))
    joint = torch.logaddexp(prefix_lse, branch_lse)
    kept = attended.masked_fill(empty.unsqueeze(-1), 0) * (prefix_lse - joint).exp().unsqueeze(-1)
    return (kept + branch * (branch_lse - joint).exp().unsqueeze(-1)).to(attended.dtype)

"""Draft trees as tensors of static shapes, so that a graph can hold how one is grown and read.

Method: EAGLE-2's beam search (Li et al., 2024). A node's score is the log-probability, summed along
its path, that the head gives it. Each step tries `topk` tokens after each of the `topk` beams and
keeps the best `topk` of these as the next beams; all that was tried can be chosen in the end.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.attention.base import Branches
from harness.engine.cache.pool import find_slots


class BranchOverflow(IndexError):  # noqa: N818 - names what was seen
    """A branch's table has no room for what is written to it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The chosen drafts, [bs, drafts] int64 each; parents stand before their children.

    `parents` counts the root, the last known token, as node 0 and the first draft as node 1;
    `depths` are at least 1.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor


class BranchTable:
    """The pool slots of each beam's branch, [rows, topk, decode_length + 1] int64.

    One column is never filled: what reads one slot past a branch meets slot 0, which is padding's,
    and not the next beam. `append` is the only writer, and checks the size at every write: wider
    writes than the table were the flake that sglang#27360 mended, and inside a graph's pool nothing
    else would notice.
    """

    def __init__(self, rows: int, topk: int, decode_length: int, device: torch.device) -> None:
        self._room = (rows, topk, decode_length)
        self._slots = torch.zeros(rows, topk, decode_length + 1, device=device, dtype=torch.int64)
        self._filled = 0

    def append(self, beams: Tensor, slots: Tensor) -> Branches:
        """Let beam i continue the earlier beam `beams[:, i]` by `slots[:, i]`; [rows, topk] each.

        Raises BranchOverflow where the table has no such rows or no column left.
        """
        rows, topk, decode_length = self._room
        if slots.shape != (rows, topk) or beams.shape != (rows, topk):
            raise BranchOverflow(
                f"a branch table of {rows} rows and {topk} beams cannot take slots of shape "
                f"{tuple(slots.shape)} for beams of shape {tuple(beams.shape)}"
            )
        if self._filled >= decode_length:
            raise BranchOverflow(
                f"a branch table of decode length {decode_length} cannot take slot "
                f"{self._filled + 1} of a branch"
            )
        self._slots = self._slots.gather(1, beams.unsqueeze(-1).expand_as(self._slots))
        self._slots[:, :, self._filled] = slots
        self._filled += 1
        return Branches(self._slots, torch.full_like(slots, self._filled))


class Growth:
    """The candidates of one draft step, numbered in the order in which they were tried."""

    def __init__(self, topk: int) -> None:
        self._topk = topk
        self._tokens: list[Tensor] = []
        self._scores: list[Tensor] = []
        self._parents: list[Tensor] = []
        self._beam_ids = torch.empty(0)
        self._beam_scores = torch.empty(0)

    def start(self, logprobs: Tensor) -> Tensor:
        """Try the first tokens, from [bs, vocab]. Answers the beams' tokens [bs, topk]."""
        scores, tokens = logprobs.topk(self._topk)
        self._tokens, self._scores = [tokens], [scores]
        self._parents = [torch.full_like(tokens, -1)]
        self._beam_ids = torch.arange(self._topk, device=tokens.device).expand_as(tokens)
        self._beam_scores = scores
        return tokens

    def extend(self, logprobs: Tensor) -> tuple[Tensor, Tensor]:
        """Try tokens after each beam, from [bs, topk, vocab].

        Answers the new beams' tokens, and which of the beams before each continues; [bs, topk].
        """
        gained, tokens = logprobs.topk(self._topk)
        scores = (self._beam_scores.unsqueeze(-1) + gained).flatten(1)
        tried = sum(tokens.shape[1] for tokens in self._tokens)
        self._tokens.append(tokens.flatten(1))
        self._scores.append(scores)
        self._parents.append(self._beam_ids.unsqueeze(-1).expand_as(tokens).flatten(1))
        self._beam_scores, best = scores.topk(self._topk)
        self._beam_ids = best + tried
        return self._tokens[-1].gather(1, best), best // self._topk

    def choose(self, count: int) -> Tree:
        """The `count` best of all candidates; of equals those tried first.

        No score is above its parent's and parents are tried first, so a stable sort takes no node
        without its ancestors.
        """
        scores = torch.cat(self._scores, dim=1)
        ranking = scores.sort(dim=1, descending=True, stable=True).indices
        chosen = ranking[:, :count].sort(dim=1).values
        parents = torch.cat(self._parents, dim=1).gather(1, chosen)
        # As many chosen ones stand up to a parent as its node's number; a first token's is -1.
        numbers = (chosen.unsqueeze(1) <= parents.unsqueeze(2)).sum(-1)
        level = self._topk * self._topk
        return Tree(
            tokens=torch.cat(self._tokens, dim=1).gather(1, chosen),
            parents=numbers,
            depths=(chosen + level - self._topk) // level + 1,
        )


def compute_log_probabilities(logits: Tensor) -> Tensor:
    """[..., vocab] in at least float32, never above 0."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1).clamp(max=0)


def find_branches(
    parents: Tensor, depths: Tensor, start: Tensor, page_table: Tensor, page_size: int, path: int
) -> Branches:
    """The slots that each node of a tree sees: from the root to itself, at most `path` of them.

    parents, depths: [bs, n] with the root as node 0, its own parent; start: [bs, 1], the root's
    position. Node i's slot is that of position start + i.
    """
    bs, count = parents.shape
    nodes = torch.arange(count, device=parents.device).expand(bs, -1)
    upwards = [nodes]
    for _ in range(path - 1):
        upwards.append(parents.gather(1, upwards[-1]))
    above = depths.unsqueeze(-1) - torch.arange(path, device=parents.device)
    downwards = torch.stack(upwards, dim=-1).gather(-1, above.clamp(min=0))
    slots = find_slots(page_table, start + downwards.flatten(1), page_size).view(bs, count, path)
    return Branches(slots.masked_fill(above < 0, 0), depths + 1)

"""Choosing tokens from logits. Runs on rank 0 alone, on the CPU, from one seeded generator."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampled:
    """One token per row and position, and its log-probability at temperature 1."""

    tokens: list[list[int]]
    logprobs: list[list[float]]


def sample(logits: Tensor, temperatures: Sequence[float], generator: torch.Generator) -> Sampled:
    """Sample [rows, n, vocab] float32 CPU logits; a row of temperature 0 takes the argmax."""
    tokens = logits.argmax(-1)
    for row, temperature in enumerate(temperatures):
        if temperature > 0:
            weights = torch.softmax(logits[row] / temperature, dim=-1)
            tokens[row] = torch.multinomial(weights, 1, generator=generator).squeeze(-1)
    logprobs = logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return Sampled(tokens.tolist(), logprobs.tolist())


def follow_accepted(
    drafts: Sequence[int], parents: Sequence[int], sampled: Sequence[int]
) -> list[int]:
    """The nodes, from the root on, whose tokens the target's own samples confirm in order.

    Node 0 is the root; draft i is node i + 1 below `parents[i]`, and follows it in number.
    `sampled` has one token per node. Each is drawn from the target's distribution given the path
    to its node, so emitting the samples along the path leaves that distribution exact: the last
    one is that which no draft foresaw.
    """
    children = {(p, token): i for i, (p, token) in enumerate(zip(parents, drafts, strict=True), 1)}
    path = [0]
    while (child := children.get((path[-1], sampled[path[-1]]))) is not None:
        path.append(child)
    return path

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


def accepted_prefix(drafts: Sequence[int], sampled: Sequence[int]) -> int:
    """How many drafts the target's own samples confirm, in order.

    Each sample is drawn from the target's distribution given the drafts before it, so keeping
    samples up to and including the first that differs leaves that distribution exact.
    """
    for count, (draft, token) in enumerate(zip(drafts, sampled, strict=False)):
        if draft != token:
            return count
    return len(drafts)

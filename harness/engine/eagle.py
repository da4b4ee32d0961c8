"""The EAGLE draft head: one decoder layer over the target's features, sharing its embedding.

A draft position p pairs the target's final-normed hidden state at p with the token at p + 1, and
predicts the token at p + 2. The head has no final norm: its hidden state goes to the target's
`lm_head`, and stands in for the target's feature at the next position of a chain.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from harness.engine.attention.base import AttentionBackend
from harness.engine.checkpoint import DraftWeights
from harness.engine.config import ModelConfig
from harness.engine.kv import LayerCache
from harness.engine.model import DecoderLayer, Llama, Rotary
from harness.engine.parallel import TensorParallel


class EagleHead:
    """The draft head of one rank, beside its target."""

    def __init__(
        self,
        config: ModelConfig,
        weights: DraftWeights,
        target: Llama,
        rotary: Rotary,
        cache: LayerCache,
        group: TensorParallel,
    ) -> None:
        self._weights = weights
        self._target = target
        self._rotary = rotary
        self._cache = cache
        self._layer = DecoderLayer(weights.layer, config, group)

    def forward(
        self, tokens: Tensor, features: Tensor, positions: Tensor, attention: AttentionBackend
    ) -> Tensor:
        """Features [bs, n, hidden] for [bs, n] tokens beside [bs, n, hidden] features."""
        attention.bind(positions)
        fused = linear(
            torch.cat([self._target.embed(tokens), features], dim=-1), self._weights.fuse
        )
        return self._layer.forward(fused, self._rotary.at(positions), attention, self._cache)

    def chain(
        self, feature: Tensor, positions: Tensor, steps: int, attention: AttentionBackend
    ) -> Tensor:
        """Draft `steps` tokens greedily: [bs, 1, hidden] at [bs, 1] positions to [bs, steps].

        `feature` is the head's own state just before the last known token, whose position is
        `positions`.
        """
        drafted = [self._target.shared_logits(feature).argmax(-1)]
        for step in range(steps - 1):
            feature = self.forward(drafted[-1], feature, positions + step, attention)
            drafted.append(self._target.shared_logits(feature).argmax(-1))
        return torch.cat(drafted, dim=1)

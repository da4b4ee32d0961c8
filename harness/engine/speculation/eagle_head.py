"""The EAGLE draft head: one decoder layer over the target's features, sharing its embedding.

A draft position p pairs the target's final-normed hidden state at p with the token at p + 1, and
predicts the token at p + 2. The head has no final norm: its hidden state goes to the target's
`lm_head`, and stands in for the target's feature at the next position of a branch.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from harness.core.speculation import SpecShape
from harness.engine.attention.base import AttentionBackend
from harness.engine.cache.pool import LayerCache, find_slots
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model.checkpoint import DraftWeights
from harness.engine.model.llama import DecoderLayer, Llama, Rotary
from harness.engine.model.shape import ModelConfig
from harness.engine.speculation.draft_tree import (
    BranchTable,
    Growth,
    Tree,
    compute_log_probabilities,
)


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
        """Features [bs, n, hidden] for [bs, n] tokens beside [bs, n, hidden] features.

        Positions are consecutive: `attention` is bound to them.
        """
        attention.bind(positions)
        return self._forward_bound(tokens, features, positions, attention)

    def _forward_bound(
        self, tokens: Tensor, features: Tensor, positions: Tensor, attention: AttentionBackend
    ) -> Tensor:
        fused = linear(
            torch.cat([self._target.embed(tokens), features], dim=-1), self._weights.fuse
        )
        return self._layer.forward(fused, self._rotary.look_up(positions), attention, self._cache)

    def chain(
        self, feature: Tensor, positions: Tensor, steps: int, attention: AttentionBackend
    ) -> Tensor:
        """Draft `steps` tokens greedily: [bs, 1, hidden] at [bs, 1] positions to [bs, steps].

        `feature` is the head's own state just before the last known token, whose position is
        `positions`.
        """
        drafted = [self._target.write_logits(feature).argmax(-1)]
        for step in range(steps - 1):
            feature = self.forward(drafted[-1], feature, positions + step, attention)
            drafted.append(self._target.write_logits(feature).argmax(-1))
        return torch.cat(drafted, dim=1)

    def draft_tree(
        self,
        feature: Tensor,
        positions: Tensor,
        page_table: Tensor,
        page_size: int,
        spec: SpecShape,
        attention: AttentionBackend,
    ) -> Tree:
        """Draft a tree: `feature` and `positions` as in `chain`, and the rows' pages.

        Run i writes its `topk` keys and values to the slots of the positions from
        `positions` + i * topk on, all of which the next `draft_extend` writes anew.
        """
        growth = Growth(spec.topk)
        tokens = growth.start(self._log_probabilities(feature).squeeze(1))
        features, beams = feature.expand(-1, spec.topk, -1), torch.zeros_like(tokens)
        table = BranchTable(len(tokens), spec.topk, spec.decode_length, tokens.device)
        for run in range(spec.decode_length):
            first = positions + run * spec.topk
            slots = find_slots(
                page_table, first + torch.arange(spec.topk, device=tokens.device), page_size
            )
            attention.bind_branches(positions.squeeze(1), slots, table.append(beams, slots))
            places = (positions + run).expand_as(tokens)
            features = self._forward_bound(tokens, features, places, attention)
            tokens, beams = growth.extend(self._log_probabilities(features))
            features = features.gather(1, beams.unsqueeze(-1).expand_as(features))
        return growth.choose(spec.nodes - 1)

    def _log_probabilities(self, features: Tensor) -> Tensor:
        """[bs, n, hidden] to [bs, n, vocab]."""
        return compute_log_probabilities(self._target.write_logits(features))

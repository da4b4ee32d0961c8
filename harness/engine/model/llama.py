"""A Llama decoder, one rank's share: RMSNorm, rotary positions, grouped heads, SwiGLU.

Hidden states are replicated on every rank; heads, intermediate channels and the vocabulary of
`lm_head` are split. Nothing here depends on a tensor's values, so that all of it can be captured.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding

from harness.engine.attention.base import AttentionBackend
from harness.engine.cache.pool import LayerCache
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model import ops
from harness.engine.model.checkpoint import LayerWeights, TargetWeights
from harness.engine.model.shape import ModelConfig


class Rotary:
    """Tables of rotary positions 0..`positions` - 1, in Hugging Face's split-half convention."""

    def __init__(
        self, config: ModelConfig, positions: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        half = config.head_dim // 2
        exponents = torch.arange(half, dtype=torch.float64) / half
        angles = torch.outer(
            torch.arange(positions, dtype=torch.float64), config.rope_theta**-exponents
        )
        cos, sin = angles.cos(), angles.sin()
        # Rolling by half a head swaps the halves; the sign of rotate-half is kept in the sine.
        self._cos = torch.cat([cos, cos], dim=-1).to(device, dtype)
        self._signed_sin = torch.cat([-sin, sin], dim=-1).to(device, dtype)

    def look_up(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines of [bs, n] positions, each [bs, n, 1, head_dim]."""
        return (
            embedding(positions, self._cos).unsqueeze(2),
            embedding(positions, self._signed_sin).unsqueeze(2),
        )


class DecoderLayer:
    """One layer: attention and SwiGLU, each ended by an all-reduce over the ranks."""

    def __init__(self, weights: LayerWeights, config: ModelConfig, group: TensorParallel) -> None:
        self._weights = weights
        self._group = group
        self._eps = config.rms_norm_eps
        self._head_dim = config.head_dim

    def forward(
        self,
        hidden: Tensor,
        angles: tuple[Tensor, Tensor],
        attention: AttentionBackend,
        cache: LayerCache,
    ) -> Tensor:
        """[bs, n, hidden] to the same, in place.

        No name outlives a tensor's last use: what is freed early is what the graph's pool gives
        to the next one.
        """
        weights = self._weights
        self._add_product(hidden, self._attend(hidden, angles, attention, cache), weights.output)
        return self._add_product(hidden, self._run_gate(hidden), weights.down)

    def _add_product(self, hidden: Tensor, values: Tensor, weight: Tensor) -> Tensor:
        """Add the ranks' `values @ weight.T` to `hidden`, in the matrix product's own kernel.

        Every rank holds the same `hidden`, so rank 0 alone brings it into the sum over the ranks.
        """
        ops.add_product(hidden, values, weight, 1.0 if self._group.rank == 0 else 0.0)
        return self._group.all_reduce(hidden)

    def _attend(
        self,
        hidden: Tensor,
        angles: tuple[Tensor, Tensor],
        attention: AttentionBackend,
        cache: LayerCache,
    ) -> Tensor:
        query = ops.rotate_and_store(self._project(hidden), angles, attention.writes, cache)
        return attention.forward(query, cache)

    def _project(self, hidden: Tensor) -> Tensor:
        """Queries, keys and values, [bs, n, all of them, head_dim]."""
        normed = ops.rms_norm(hidden, self._weights.input_norm, self._eps)
        return ops.multiply(normed, self._weights.qkv).view(*hidden.shape[:-1], -1, self._head_dim)

    def _run_gate(self, hidden: Tensor) -> Tensor:
        normed = ops.rms_norm(hidden, self._weights.post_norm, self._eps)
        return ops.swiglu(ops.multiply(normed, self._weights.gate_up))


class Llama:
    """The target model of one rank."""

    def __init__(
        self,
        config: ModelConfig,
        weights: TargetWeights,
        rotary: Rotary,
        cache: list[LayerCache],
        group: TensorParallel,
    ) -> None:
        self._config = config
        self._weights = weights
        self._rotary = rotary
        self._cache = cache
        self._group = group
        self._layers = [DecoderLayer(layer, config, group) for layer in weights.layers]

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers [bs, n] int64 to [bs, n, hidden]."""
        return embedding(tokens, self._weights.embedding)

    def forward(self, tokens: Tensor, positions: Tensor, attention: AttentionBackend) -> Tensor:
        """Final-normed hidden states [bs, n, hidden] of [bs, n] tokens at [bs, n] positions.

        Positions are consecutive: `attention` is bound to them.
        """
        attention.bind(positions)
        return self.forward_bound(tokens, positions, attention)

    def forward_bound(
        self, tokens: Tensor, positions: Tensor, attention: AttentionBackend
    ) -> Tensor:
        """As `forward`, but attending as `attention` was bound by the caller."""
        angles = self._rotary.look_up(positions)
        hidden = self.embed(tokens)
        for layer, cache in zip(self._layers, self._cache, strict=True):
            hidden = layer.forward(hidden, angles, attention, cache)
        return ops.rms_norm(hidden, self._weights.norm, self._config.rms_norm_eps)

    def reserve_logits(self, rows: int) -> Tensor:
        """Allocate the one buffer that `write_logits` writes to, [rows, vocab]."""
        head, vocab = self._weights.lm_head, self._config.vocab_size
        self._logits = head.new_empty(rows, vocab)
        return self._logits

    def write_logits(self, hidden: Tensor) -> Tensor:
        """[bs, n, hidden] to [bs, n, vocab] in the reserved buffer: valid until the next call.

        For graphs: the largest of their tensors then stands outside their pool, once, whatever
        the number of graphs. Raises ValueError where bs * n rows were not reserved.
        """
        rows = hidden.shape[:-1].numel()
        if rows > len(self._logits):
            raise ValueError(f"{rows} rows of logits do not fit the {len(self._logits)} reserved")
        buffer = self._logits[:rows]
        if self._config.splits_vocabulary and self._group.size > 1:
            buffer.view(*hidden.shape[:-1], -1).copy_(self.logits(hidden))
        else:
            ops.multiply(hidden, self._weights.lm_head, out=buffer)
        return buffer.view(*hidden.shape[:-1], -1)

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., hidden] to [..., vocab], whole on every rank, freshly allocated."""
        logits = ops.multiply(hidden, self._weights.lm_head)
        if not self._config.splits_vocabulary:
            return logits
        shares = self._group.all_gather(logits)
        # The last rank's share ends in padding rows where the ranks do not divide the vocabulary.
        return shares[..., : self._config.vocab_size]

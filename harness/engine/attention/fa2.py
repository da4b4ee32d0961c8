"""FlashAttention 2: `flash_attn`. It reads page tables whose pages are multiples of 256 tokens."""

from flash_attn import flash_attn_with_kvcache
from torch import Tensor

from harness.engine.attention.flash import FlashAttention


def make_fa2(*, native: bool, splits: int) -> FlashAttention:
    """The backend behind the flag `fa2`. See `FlashAttention` for the arguments."""
    return FlashAttention(_attend, native=native, splits=splits)


def _attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    lengths: Tensor,
    page_table: Tensor | None,
    causal: bool,
    splits: int,
) -> tuple[Tensor, Tensor]:
    attended, lse = flash_attn_with_kvcache(
        query,
        keys,
        values,
        cache_seqlens=lengths,
        block_table=page_table,
        causal=causal,
        num_splits=splits,
        return_softmax_lse=True,
    )
    return attended, lse

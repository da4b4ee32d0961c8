"""FlashAttention 2: `flash_attn`. It reads page tables whose pages are multiples of 256 tokens."""

from flash_attn import flash_attn_with_kvcache
from torch import Tensor

from harness.engine.attention.flash import FlashAttention, KernelCall


def make_fa2(*, native: bool, splits: int) -> FlashAttention:
    """Return the backend behind the flag `fa2`. See `FlashAttention` for the arguments."""
    return FlashAttention(_attend, "flash_attn", native=native, splits=splits)


def _attend(call: KernelCall) -> tuple[Tensor, Tensor]:
    attended, lse = flash_attn_with_kvcache(
        call.query,
        call.keys,
        call.values,
        cache_seqlens=call.lengths,
        block_table=call.page_table,
        causal=call.causal,
        num_splits=call.splits,
        return_softmax_lse=True,
    )
    return attended, lse

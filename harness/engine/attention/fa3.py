"""FlashAttention 3: `flash_attn_interface` where it is installed, else `fa3_fwd_interface`."""

from importlib import import_module

from torch import Tensor

from harness.core.backends import installed_module
from harness.engine.attention.flash import FlashAttention


def make_fa3(*, native: bool, splits: int) -> FlashAttention:
    """The backend behind the flag `fa3`. See `FlashAttention` for the arguments."""
    library = import_module(installed_module("fa3"))

    def attend(
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        lengths: Tensor,
        page_table: Tensor | None,
        causal: bool,
        splits: int,
    ) -> tuple[Tensor, Tensor]:
        attended, lse, *_ = library.flash_attn_with_kvcache(
            query,
            keys,
            values,
            cache_seqlens=lengths,
            page_table=page_table,
            causal=causal,
            num_splits=splits,
            return_softmax_lse=True,
        )
        return attended, lse

    return FlashAttention(attend, native=native, splits=splits)

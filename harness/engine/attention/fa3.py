"""FlashAttention 3 from whichever library is installed; one that reads page tables is preferred."""

from importlib import import_module

from torch import Tensor

from harness.core.backends import find_kernel_module
from harness.engine.attention.flash import FlashAttention, KernelCall


def make_fa3(*, native: bool, splits: int) -> FlashAttention:
    """Return the backend behind the flag `fa3`. See `FlashAttention` for the arguments."""
    name = find_kernel_module("fa3")
    library = import_module(name)

    def attend(call: KernelCall) -> tuple[Tensor, Tensor]:
        attended, lse, *_ = library.flash_attn_with_kvcache(
            call.query,
            call.keys,
            call.values,
            cache_seqlens=call.lengths,
            page_table=call.page_table,
            causal=call.causal,
            num_splits=call.splits,
            return_softmax_lse=True,
        )
        return attended, lse

    return FlashAttention(attend, name, native=native, splits=splits)

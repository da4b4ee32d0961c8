"""FlashAttention 3 from whichever library is installed; one that reads page tables is preferred."""

from importlib import import_module
from types import ModuleType

from torch import Tensor
from torch._library.custom_ops import CustomOpDef

from harness.core.backends import find_kernel_module
from harness.engine.attention.flash import FlashAttention, KernelCall


def make_fa3(*, native: bool, splits: int) -> FlashAttention:
    """Return the backend behind the flag `fa3`. See `FlashAttention` for the arguments."""
    name = find_kernel_module("fa3")
    library = import_module(name)
    _unwrap_custom_operators(library)

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


def _unwrap_custom_operators(library: ModuleType) -> None:
    """Let the library call its own functions directly instead of as custom operators of torch.

    The first call of a custom operator imports the compiler (torch._dynamo, FSDP, sympy): 4 s of
    the first captured graph on an H100. Only code that is compiled or differentiated needs them.
    """
    for name, value in vars(library).items():
        if isinstance(value, CustomOpDef):
            setattr(library, name, value._init_fn)

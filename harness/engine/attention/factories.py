"""Attention backends by flag name: how each is made. What each can do stands in `core.backends`.

Heavy imports stand inside the factories, so that a missing library hurts only who asks for it.
"""

from collections.abc import Callable

from harness.core.backends import check_backend, explain_misfit, get_spec
from harness.core.errors import UsageError
from harness.engine.attention.base import AttentionBackend
from harness.engine.config import EngineConfig


def _torch_native(_native: bool, _splits: int) -> AttentionBackend:
    from harness.engine.attention.torch_native import TorchNative

    return TorchNative()


def _fa2(native: bool, splits: int) -> AttentionBackend:
    from harness.engine.attention.fa2 import make_fa2

    return make_fa2(native=native, splits=splits)


def _fa3(native: bool, splits: int) -> AttentionBackend:
    from harness.engine.attention.fa3 import make_fa3

    return make_fa3(native=native, splits=splits)


def _flex(_native: bool, _splits: int) -> AttentionBackend:
    from harness.engine.attention.flex import Flex, compile_flex_attention

    return Flex(compile_flex_attention())


#: Each takes whether the kernel reads the page table, and the KV splits (0: its own choice).
FACTORIES: dict[str, Callable[[bool, int], AttentionBackend]] = {
    "torch_native": _torch_native,
    "fa2": _fa2,
    "fa3": _fa3,
    "flex": _flex,
}


def make_backend(name: str, config: EngineConfig, head_dim: int) -> AttentionBackend:
    """A fresh backend. Raises UsageError where it cannot run this configuration."""
    check_backend(name, config.device)
    check_fits(name, config, head_dim)
    return FACTORIES[name](get_spec(name).reads_pages(config.page_size), config.attention_splits)


def check_fits(name: str, config: EngineConfig, head_dim: int) -> None:
    """Raises UsageError naming the value that this backend cannot run."""
    reason = explain_misfit(
        name,
        page_size=config.page_size,
        dtype=config.dtype,
        head_dim=head_dim,
        splits=config.attention_splits,
    )
    if reason:
        raise UsageError(f"backend {reason}")

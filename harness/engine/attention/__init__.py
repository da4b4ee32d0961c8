"""Attention backends by flag name: how each is made. What each can do stands in `core.backends`.

Heavy imports stand inside the factories, so that a missing library hurts only who asks for it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.core.backends import BACKENDS, check_backend
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.engine.attention.base import AttentionBackend
    from harness.engine.config import EngineConfig


def _torch_native() -> "AttentionBackend":
    from harness.engine.attention.torch_native import TorchNative

    return TorchNative()


FACTORIES: "dict[str, Callable[[], AttentionBackend]]" = {"torch_native": _torch_native}


def make_backend(name: str, config: "EngineConfig", head_dim: int) -> "AttentionBackend":
    """A fresh backend. Raises UsageError where it cannot run this configuration."""
    check_backend(name, config.device)
    _check_fits(name, config, head_dim)
    return FACTORIES[name]()


def _check_fits(name: str, config: "EngineConfig", head_dim: int) -> None:
    row = BACKENDS[name]
    checks: tuple[tuple[str, object, tuple[object, ...]], ...] = (
        ("page_size", config.page_size, row.page_sizes),
        ("dtype", config.dtype, row.dtypes),
        ("head_dim", head_dim, row.head_dims),
    )
    for what, value, supported in checks:
        if supported and value not in supported:
            listed = ", ".join(str(item) for item in supported)
            raise UsageError(f"backend {name}: {what} {value} is not supported ({listed} are)")

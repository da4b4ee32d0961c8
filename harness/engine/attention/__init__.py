"""Attention backends by flag name: what each can do, why one cannot run here, and how to make it.

Heavy imports stand inside the factories, so that a missing library hurts only who asks for it,
and the plan can ask for a reason without importing torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.core.errors import UsageError, unknown_value

if TYPE_CHECKING:
    from harness.engine.attention.base import AttentionBackend
    from harness.engine.config import EngineConfig


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend supports. Empty `page_sizes` or `head_dims` means any.

    `paged`: `native` reads the page table itself, `gathered` has its pages copied into a static
    workspace inside the graph. `split_control`: the number of KV splits can be fixed at capture.
    """

    devices: tuple[str, ...]
    paged: Literal["native", "gathered"]
    page_sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    head_dims: tuple[int, ...]
    split_control: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    capabilities: Capabilities
    make: "Callable[[], AttentionBackend] | None"
    missing: str = ""


def _torch_native() -> "AttentionBackend":
    from harness.engine.attention.torch_native import TorchNative

    return TorchNative()


_HALF = ("bfloat16", "float16")
_REGISTRY: dict[str, _Entry] = {
    "torch_native": _Entry(
        Capabilities(("cpu", "cuda"), "gathered", (), ("float32", *_HALF), (), False),
        _torch_native,
    ),
    "fa2": _Entry(
        Capabilities(("cuda",), "native", (256,), _HALF, (), True),
        None,
        "needs CUDA and flash_attn; not implemented in this version",
    ),
    "fa3": _Entry(
        Capabilities(("cuda",), "native", (), _HALF, (64, 128, 256), True),
        None,
        "needs CUDA and flash_attn_interface or fa3_fwd_interface; not implemented in this version",
    ),
    "flex": _Entry(
        Capabilities(("cuda",), "native", (), ("float32", *_HALF), (), False),
        None,
        "needs CUDA and a compiled FlexAttention; not implemented in this version",
    ),
}


def names() -> list[str]:
    """Every backend that has a name, available or not."""
    return list(_REGISTRY)


def capabilities(name: str) -> Capabilities:
    """One backend's capability row. Raises UsageError for an unknown name."""
    return _entry(name).capabilities


def available(name: str, device: str) -> str | None:
    """None where the backend runs on `device` (`cpu` or `cuda`), else the reason why not.

    Raises UsageError for an unknown name.
    """
    entry = _entry(name)
    if entry.make is None:
        return f"{name}: {entry.missing}"
    if device not in entry.capabilities.devices:
        return f"{name}: runs on {', '.join(entry.capabilities.devices)}, not on {device}"
    return None


def make_backend(name: str, config: "EngineConfig", head_dim: int) -> "AttentionBackend":
    """A fresh backend. Raises UsageError where it cannot run this configuration."""
    entry = _entry(name)
    reason = available(name, config.device) or _mismatch(name, config, head_dim)
    if entry.make is None or reason:
        raise UsageError(f"attention backend {reason}; choose from {_runnable(config.device)}")
    return entry.make()


def _entry(name: str) -> _Entry:
    if name not in _REGISTRY:
        raise unknown_value("attention backend", name, names())
    return _REGISTRY[name]


def _mismatch(name: str, config: "EngineConfig", head_dim: int) -> str | None:
    row = capabilities(name)
    checks: tuple[tuple[str, object, tuple[object, ...]], ...] = (
        ("page_size", config.page_size, row.page_sizes),
        ("dtype", config.dtype, row.dtypes),
        ("head_dim", head_dim, row.head_dims),
    )
    for what, value, supported in checks:
        if supported and value not in supported:
            listed = ", ".join(str(item) for item in supported)
            return f"{name}: {what} {value} is not supported ({listed} are)"
    return None


def _runnable(device: str) -> str:
    return ", ".join(name for name in _REGISTRY if available(name, device) is None)

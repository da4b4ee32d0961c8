"""Attention backends by flag name: what each can do, and why one is unavailable here.

One table for the plan, which refuses a cell with its reason, and for the engine, which builds the
backend. Looking does not import: neither torch nor a kernel library is loaded to answer.
"""

import importlib.util
from dataclasses import dataclass
from typing import Literal

from harness.core.errors import UsageError, unknown_value


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """One row of the table. Empty `page_sizes` or `head_dims` means any."""

    devices: tuple[str, ...]
    paged: Literal["native", "gathered"]
    """`native` reads the page table; `gathered` has pages copied to a workspace in the graph."""
    page_sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    head_dims: tuple[int, ...]
    split_control: bool
    """Whether the number of KV splits can be fixed at capture."""
    modules: tuple[str, ...]
    """Any one of them makes the backend importable."""
    implemented: bool


_HALF = ("bfloat16", "float16")

BACKENDS: dict[str, BackendSpec] = {
    "torch_native": BackendSpec(
        ("cpu", "cuda"), "gathered", (), ("float32", *_HALF), (), False, ("torch",), True
    ),
    "fa2": BackendSpec(("cuda",), "native", (256,), _HALF, (64, 128), True, ("flash_attn",), False),
    "fa3": BackendSpec(
        ("cuda",),
        "gathered",
        (),
        ("bfloat16",),
        (64, 128),
        True,
        ("flash_attn_interface", "fa3_fwd_interface"),
        False,
    ),
    "flex": BackendSpec(("cuda",), "gathered", (), _HALF, (64, 128), False, ("torch",), False),
}


def unavailable(name: str, device: str) -> str | None:
    """Why this backend cannot run on `device` (cpu or cuda) of this machine; None where it can.

    Raises UsageError for a name that is not in the table.
    """
    spec = BACKENDS.get(name)
    if spec is None:
        raise unknown_value("backend", name, sorted(BACKENDS))
    if device not in spec.devices:
        return f"{name} has no {device} kernel; it runs on {', '.join(spec.devices)}"
    if not spec.implemented:
        return f"{name} is not implemented in this version"
    if not any(importlib.util.find_spec(module) for module in spec.modules):
        return f"{name} needs {' or '.join(spec.modules)}, which is not installed"
    return None


def available_backends(device: str) -> list[str]:
    """Every backend that can run on this machine's `device`."""
    return [name for name in BACKENDS if unavailable(name, device) is None]


def check_backend(name: str, device: str) -> None:
    """Raises UsageError where the backend is unknown or cannot run here, with the reason."""
    reason = unavailable(name, device)
    if reason:
        here = ", ".join(available_backends(device)) or "none"
        raise UsageError(f"backend {name}: {reason}; available here: {here}")

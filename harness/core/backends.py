"""Attention backends by flag name: what each can do, and why one cannot run something here.

One table for the plan, which refuses a cell with its reason, and for the engine, which builds the
backend. Looking does not import: neither torch nor a kernel library is loaded to answer.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.core.errors import UsageError, unknown_value


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """One row of the table."""

    devices: tuple[str, ...]
    page_sizes: tuple[int, int]
    """Smallest and largest, in tokens."""
    native_pages: int
    """Pages of multiples of so many tokens are read through the page table, others gathered into a
    workspace in the graph; 0 where all are gathered."""
    dtypes: tuple[str, ...]
    head_dims: tuple[int, ...]
    """Empty: any."""
    max_splits: int
    """The most KV splits that can be fixed at capture; 0 where the number cannot be set."""
    modules: tuple[str, ...]
    """Any one of them makes the backend importable; the first found is used."""

    def reads_pages(self, page_size: int) -> bool:
        """Whether the kernel reads the page table at this page size, and no gathered copy."""
        return self.native_pages > 0 and page_size % self.native_pages == 0


_PAGES = (1, 256)
_HALF = ("bfloat16", "float16")
_FA_DIMS = (64, 128)

BACKENDS: dict[str, BackendSpec] = {
    "torch_native": BackendSpec(("cpu", "cuda"), _PAGES, 0, ("float32", *_HALF), (), 0, ("torch",)),
    "fa2": BackendSpec(("cuda",), _PAGES, 256, _HALF, _FA_DIMS, 128, ("flash_attn",)),
    "fa3": BackendSpec(
        ("cuda",), _PAGES, 1, _HALF, _FA_DIMS, 256, ("flash_attn_interface", "fa3_fwd_interface")
    ),
    "flex": BackendSpec(("cuda",), _PAGES, 0, _HALF, _FA_DIMS, 0, ("torch",)),
}

#: FA3 is built with parts left out; each build says which in a module of constants beside it.
_FA3_CONFIGS = {"flash_attn_interface": "flash_attn_config", "fa3_fwd_interface": "fa3_fwd_config"}


def installed_module(name: str) -> str:
    """The module that provides a backend here. Raises UsageError where none is installed."""
    for module in _row(name).modules:
        if importlib.util.find_spec(module):
            return module
    wanted = " or ".join(_row(name).modules)
    raise UsageError(f"{name} needs {wanted}, which is not installed")


def spec_of(name: str) -> BackendSpec:
    """The backend's row, less what the build installed here leaves out.

    Raises UsageError for a name that is not in the table.
    """
    row = _row(name)
    config = next((_FA3_CONFIGS[m] for m in row.modules if _is_build(m)), None)
    if config is None:
        return row
    return narrowed(row, importlib.import_module(config).CONFIG["build_flags"])


def _is_build(module: str) -> bool:
    config = _FA3_CONFIGS.get(module)
    return bool(config and importlib.util.find_spec(module) and importlib.util.find_spec(config))


def narrowed(row: BackendSpec, flags: Mapping[str, bool]) -> BackendSpec:
    """An FA3 row less what its build flags, FLASHATTENTION_DISABLE_*, say is left out."""

    def lacks(part: str) -> bool:
        return flags.get(f"FLASHATTENTION_DISABLE_{part}", False)

    return replace(
        row,
        native_pages=0 if lacks("PAGEDKV") else row.native_pages,
        dtypes=tuple(d for d in row.dtypes if d != "float16" or not lacks("FP16")),
        head_dims=tuple(size for size in row.head_dims if not lacks(f"HDIM{size}")),
        max_splits=0 if lacks("SPLIT") else row.max_splits,
    )


def _row(name: str) -> BackendSpec:
    if name not in BACKENDS:
        raise unknown_value("backend", name, sorted(BACKENDS))
    return BACKENDS[name]


def unavailable(name: str, device: str) -> str | None:
    """Why this backend cannot run on `device` (cpu or cuda) of this machine; None where it can.

    Raises UsageError for a name that is not in the table.
    """
    row = _row(name)
    if device not in row.devices:
        return f"{name} has no {device} kernel; it runs on {', '.join(row.devices)}"
    try:
        installed_module(name)
    except UsageError as error:
        return str(error)
    return None


def misfit(
    name: str, *, page_size: int, dtype: str, head_dim: int | None, splits: int
) -> str | None:
    """Why a configuration does not fit the backend installed here; None where it fits.

    head_dim None: not known yet; splits 0: left to the kernel. Raises UsageError for an unknown
    name.
    """
    row = spec_of(name)
    smallest, largest = row.page_sizes
    if not smallest <= page_size <= largest:
        return f"{name}: page_size {page_size} is not supported ({smallest} to {largest} are)"
    if dtype not in row.dtypes:
        return f"{name}: dtype {dtype} is not supported ({', '.join(row.dtypes)} are)"
    if head_dim is not None and row.head_dims and head_dim not in row.head_dims:
        listed = ", ".join(map(str, row.head_dims))
        return f"{name}: head_dim {head_dim} is not supported ({listed} are)"
    if splits and not row.max_splits:
        return f"{name}: attention_splits {splits} cannot be set: it has no split control; leave 0"
    if not 0 <= splits <= row.max_splits:
        return f"{name}: attention_splits {splits} is not supported (0 to {row.max_splits} are)"
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

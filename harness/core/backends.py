"""Attention backends by flag name: what each can do, and why one cannot run something here.

One table for the plan, which refuses a cell with its reason, and for the engine, which builds the
backend. Looking does not import: neither torch nor a kernel library is loaded to answer.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
    """Any one of them provides the backend; one that reads pages is preferred, then the first."""

    def reads_pages(self, page_size: int) -> bool:
        """Whether the kernel reads the page table at this page size, and no gathered copy."""
        return self.native_pages > 0 and page_size % self.native_pages == 0


_PAGES = (1, 256)
_HALF = ("bfloat16", "float16")
_FA_DIMS = (64, 128)
_FA3_MODULES = ("flash_attn_interface", "sgl_kernel.flash_attn", "fa3_fwd_interface")

BACKENDS: dict[str, BackendSpec] = {
    "torch_native": BackendSpec(("cpu", "cuda"), _PAGES, 0, ("float32", *_HALF), (), 0, ("torch",)),
    "fa2": BackendSpec(("cuda",), _PAGES, 256, _HALF, _FA_DIMS, 128, ("flash_attn",)),
    "fa3": BackendSpec(("cuda",), _PAGES, 1, _HALF, _FA_DIMS, 256, _FA3_MODULES),
    "flex": BackendSpec(("cuda",), _PAGES, 0, _HALF, _FA_DIMS, 0, ("torch",)),
}

#: FA3 is built with parts left out; these builds say which in a module of constants beside them.
_FA3_CONFIGS = {"flash_attn_interface": "flash_attn_config", "fa3_fwd_interface": "fa3_fwd_config"}


def find_kernel_module(name: str) -> str:
    """Return the module that provides a backend here: the first that reads pages, else the first.

    Raises UsageError if none is installed.
    """
    row = _get_row(name)
    found = [module for module in row.modules if _is_installed(module)]
    if not found:
        raise UsageError(f"{name} needs {' or '.join(row.modules)}, which is not installed")
    readers = [module for module in found if _narrow_to_build(row, module).native_pages]
    return (readers or found)[0]


def get_spec(name: str) -> BackendSpec:
    """Return the backend's row, less what the build used here leaves out.

    Raises UsageError for a name that is not in the table.
    """
    row = _get_row(name)
    if not any(_is_installed(module) for module in row.modules):
        return row
    return _narrow_to_build(row, find_kernel_module(name))


def _narrow_to_build(row: BackendSpec, module: str) -> BackendSpec:
    config = _FA3_CONFIGS.get(module)
    if config is None or not _is_installed(config):
        return row
    return narrow_spec(row, importlib.import_module(config).CONFIG["build_flags"])


def _is_installed(module: str) -> bool:
    """Tell whether a module is there without importing it, or the package that holds it."""
    package, _, inner = module.partition(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not inner:
        return spec is not None
    folders = spec.submodule_search_locations or []
    return any((Path(folder) / f"{inner}.py").is_file() for folder in folders)


def narrow_spec(row: BackendSpec, flags: Mapping[str, bool]) -> BackendSpec:
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


def _get_row(name: str) -> BackendSpec:
    if name not in BACKENDS:
        raise unknown_value("backend", name, sorted(BACKENDS))
    return BACKENDS[name]


def explain_absence(name: str, device: str) -> str | None:
    """Why this backend cannot run on `device` (cpu or cuda) of this machine; None where it can.

    Raises UsageError for a name that is not in the table.
    """
    row = _get_row(name)
    if device not in row.devices:
        return f"{name} has no {device} kernel; it runs on {', '.join(row.devices)}"
    try:
        find_kernel_module(name)
    except UsageError as error:
        return str(error)
    return None


def explain_misfit(
    name: str, *, page_size: int, dtype: str, head_dim: int | None, splits: int
) -> str | None:
    """Why a configuration does not fit the backend installed here; None where it fits.

    head_dim None: not known yet; splits 0: left to the kernel. Raises UsageError for an unknown
    name.
    """
    row = get_spec(name)
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


def list_available(device: str) -> list[str]:
    """Every backend that can run on this machine's `device`."""
    return [name for name in BACKENDS if explain_absence(name, device) is None]


def check_backend(name: str, device: str) -> None:
    """Raises UsageError where the backend is unknown or cannot run here, with the reason."""
    reason = explain_absence(name, device)
    if reason:
        here = ", ".join(list_available(device)) or "none"
        raise UsageError(f"backend {name}: {reason}; available here: {here}")

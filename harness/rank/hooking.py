"""The start-up hook in a forked rank, where no interpreter starts that could begin it by itself."""

import importlib.util
from collections.abc import MutableMapping
from pathlib import Path

#: Beside this package, and loaded by path as this one is.
LOADER = Path(__file__).resolve().parents[1] / "hook" / "load.py"


def begin_hook(environ: MutableMapping[str, str]) -> None:
    """Begin the hook if the attempt asks for it: what `sitecustomize` does in a new interpreter."""
    if not environ.get("HARNESS_HOOK"):
        return
    spec = importlib.util.spec_from_file_location("_harness_hook_load", LOADER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.begin(environ)

"""Loads the hook under a name of its own, from wherever this file lies, and begins it once.

The interpreter under test may have its own `harness`, which must not find ours in its place.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping

_NAME = "_harness_hook"


def begin(environ: Mapping[str, str]) -> None:
    """Begin the hook in this process, if HARNESS_HOOK asks for it; a second call does nothing."""
    if environ.get("HARNESS_HOOK") and _NAME not in sys.modules:
        _load_package()
        importlib.import_module(f"{_NAME}.main").begin(environ)


def _load_package() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow
    spec = importlib.util.spec_from_file_location(
        _NAME,
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)

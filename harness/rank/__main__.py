"""`python DIR/harness/rank keeper|entry|imports ...`: this copy, run by path.

It loads itself under a name of its own: the interpreter under test may have its own `harness`, and
must not find ours in its place, nor this folder's `wire` or `plugin` as top-level modules.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "_harness_rank"
_FOLDER = Path(__file__).resolve().parent


def _load(module: str) -> object:
    spec = importlib.util.spec_from_file_location(
        _NAME, _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {_FOLDER}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{_NAME}.{module}")


if __name__ == "__main__":
    # Python put this folder first. Nothing of the working directory may stand in its place before
    # all of ours is imported: a checkout under test may hold a `json.py`.
    del sys.path[0]
    if len(sys.argv) < 2 or sys.argv[1] not in ("keeper", "entry", "imports"):
        sys.exit("usage: python harness/rank {keeper|entry|imports} ...")
    role = _load(sys.argv[1])
    if sys.argv[1] == "entry":
        # Tests expect the working directory first, as under `python -m pytest`.
        sys.path.insert(0, str(Path.cwd()))
    # Loaded by name: its `main` is not visible to a type checker.
    role.main(sys.argv[2:])  # type: ignore[attr-defined]

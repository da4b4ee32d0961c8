"""Imported by Python itself as it starts: begins the hook, then gives way to the next of its name.

A process sees no trace of this file: its folder leaves `sys.path` (it stays in PYTHONPATH, for the
process's own children), and `import sitecustomize` finds the one that it would find without us.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow to load


def _begin_hook() -> None:
    from importlib.machinery import SourceFileLoader

    path = os.path.join(os.path.dirname(_FOLDER), "load.py")  # noqa: PTH118, PTH120
    # `importlib.util` would be shorter, and takes milliseconds to import.
    module = type(sys)("_harness_hook_load")
    module.__file__ = path
    SourceFileLoader(module.__name__, path).exec_module(module)
    module.begin(os.environ)


def _give_way() -> None:
    from importlib.machinery import PathFinder

    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]  # noqa: PTH100
    following = PathFinder.find_spec("sitecustomize")
    if following is None or following.loader is None:
        # What Python expects where there is none, and passes over.
        raise ModuleNotFoundError("No module named 'sitecustomize'", name="sitecustomize")
    import importlib.util

    module = importlib.util.module_from_spec(following)
    sys.modules["sitecustomize"] = module
    following.loader.exec_module(module)


try:
    _begin_hook()
except Exception:
    # A suite must not fail because we cannot watch it. Its log says why we did not.
    import traceback

    sys.stderr.write("harness: the start-up hook did not start in this process\n")
    traceback.print_exc()
_give_way()

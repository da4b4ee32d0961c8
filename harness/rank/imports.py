"""Which modules a suite imports, and whether a zygote may import them in advance.

The first attempt of a suite reports what it imported from outside the suite's own folders
(`list_imported`). A throw-away process then imports the same modules one by one (`main`), takes
their times, and stops at the first after which a fork would no longer be safe.
"""

import argparse
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from . import forking

#: `_harness_rank` and `_harness_hook`, as they are loaded by path.
_OWN_PACKAGES = "_harness_"
#: Variables that pytest and the rank itself set.
_OUR_VARIABLES = ("PYTEST_", "HARNESS_", "PYTHONPATH")
#: Before a name of what to preload: no module to import, but a package that pytest rewrites.
REWRITTEN_MARK = "!"


def list_imported(before: Collection[str], own: Collection[Path]) -> list[str]:
    """Return the modules imported since `before`, in that order, if no folder of `own` holds them.

    The interpreter's packages are never the suite's own, even if they are installed below it.
    """
    outside = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[1]]
    found = []
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if name in before or not isinstance(file, str) or not _is_importable(name):
            continue
        path = Path(file)
        installed = any(path.is_relative_to(folder) for folder in outside)
        if installed or not any(path.is_relative_to(folder) for folder in own):
            found.append(name)
    return found


def list_rewritten(names: Collection[str]) -> list[str]:
    """Return the packages among these modules whose assertions pytest has rewritten: its plugins.

    A zygote must import them in the same way. Else pytest warns that it comes too late, which ends
    it under `-W error`, and their assertions say less.
    """
    rewritten = [name for name in names if _is_rewritten(sys.modules.get(name))]
    return sorted({name.partition(".")[0] for name in rewritten})


@contextmanager
def rewrite_assertions(packages: Collection[str]) -> Iterator[None]:
    """Import these packages as pytest does, while this is open, so that it finds them rewritten."""
    if not packages:
        yield
        return
    from _pytest.assertion import install_importhook
    from _pytest.config import get_config

    hook = install_importhook(get_config())
    hook.mark_rewrite(*packages)
    try:
        yield
    finally:
        sys.meta_path.remove(hook)


def _is_rewritten(module: object) -> bool:
    # By name: a zygote that has not imported pytest asks too.
    return type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook"


def list_changed_variables(before: dict[str, str]) -> list[str]:
    """Return the names of the variables that have changed since `before`."""
    now = dict(os.environ)
    names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    return sorted(name for name in names if not name.startswith(_OUR_VARIABLES))


def fingerprint_packages() -> str:
    """Return a text that changes if a package is installed, upgraded or removed."""
    seen = [sys.version]
    for entry in filter(os.path.isdir, sys.path):
        if entry.endswith(("site-packages", "dist-packages")):
            seen.append(f"{entry} {Path(entry).stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()


def _is_importable(name: str) -> bool:
    return not name.startswith(("__", _OWN_PACKAGES)) and all(
        map(str.isidentifier, name.split("."))
    )


@contextmanager
def ask_for_gpus_through_nvml() -> Iterator[None]:
    """Otherwise asking torch whether there is a GPU initialises CUDA, which survives no fork."""
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    yield
    # A forked rank has the environment that a spawned one has.
    del os.environ[name]
    if before is not None:
        os.environ[name] = before


def try_imports(names: Sequence[str]) -> dict[str, object]:
    """Import them in this order. Return the seconds of each, and the first unsafe one, if any."""
    sockets, environ = forking.count_sockets(), dict(os.environ)
    seconds: dict[str, float] = {}
    unsafe = None
    for name in names:
        if name in sys.modules:
            continue
        began = time.perf_counter()
        try:
            importlib.import_module(name)
        except BaseException:  # some modules leave the process where they cannot be imported
            continue
        seconds[name] = time.perf_counter() - began
        opened = "a socket" if forking.count_sockets() > sockets else None
        if opened or forking.find_fork_obstacle():
            unsafe = name
            break
    return {"seconds": seconds, "unsafe": unsafe, "changed": list_changed_variables(environ)}


def main(arguments: Sequence[str]) -> NoReturn:
    """`imports --fd N [--path DIR]`: try what stdin names; write the result to N.

    stdin: a JSON object of two lists, `modules` for `try_imports` and the packages `rewritten`.
    """
    parser = argparse.ArgumentParser(prog="imports")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--path", default="")
    options = parser.parse_args(arguments)
    sys.path[:0] = filter(None, [options.path])
    os.set_inheritable(options.fd, False)
    asked = json.load(sys.stdin)
    with ask_for_gpus_through_nvml(), rewrite_assertions(asked["rewritten"]):
        result = try_imports(asked["modules"])
    os.write(options.fd, json.dumps(result).encode())
    os._exit(0)

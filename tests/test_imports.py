"""Imports go one way: the arrows of docs/architecture.md, read from the sources."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sources import (
    PACKAGE,
    build_import_graph,
    find_circular_modules,
    find_imported_names,
    list_modules,
)

MODULES = list_modules()

ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "stats": {"core"},
    "store": {"core"},
    "attempt": {"core", "hook.registry"},
    "rank": set(),
    "hook": set(),
    "engine": {"core", "rank.wire"},
    "cluster": {"attempt", "core"},
    "analysis": {"stats", "core"},
    "diagnosis": {"stats", "core"},
    "report": {"analysis", "stats", "core"},
    "driver": {
        *(
            "cluster",
            "attempt",
            "report",
            "analysis",
            "stats",
            "store",
            "core",
            "diagnosis",
            "hook.registry",
        )
    },
    "bot": {"report", "analysis.report_model", "core"},
    "cli": {"driver", "bot", "core"},
}

#: Libraries that only one package may import.
OWNERS = {"ray": {"cluster"}, "torch": {"engine"}, "sqlalchemy": {"store"}, "githubkit": {"bot"}}


def get_package(module: str) -> str:
    """Return the package under harness/ that a module lies in."""
    return module.split(".")[1] if "." in module else ""


def list_modules_of_package(package: str) -> dict[str, Path]:
    return {module: path for module, path in MODULES.items() if get_package(module) == package}


def is_allowed(package: str, name: str) -> bool:
    inner = name.removeprefix("harness.")
    return any(inner == ok or inner.startswith(ok + ".") for ok in {package, *ALLOWED[package]})


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    for module, path in list_modules_of_package(package).items():
        names = find_imported_names(path, module)
        inside = {name for name in names if name.startswith("harness.")}
        wrong = sorted(name for name in inside if not is_allowed(package, name))
        assert not wrong, f"{module} imports {wrong}"


def test_no_module_imports_itself_along_a_circle() -> None:
    """Imports inside functions and under TYPE_CHECKING count as any other."""
    assert find_circular_modules(build_import_graph()) == set()


def test_a_circle_through_a_lazy_import_a_type_or_a_relative_import_is_found(
    tmp_path: Path,
) -> None:
    package = tmp_path / "house"
    sources = {
        "__init__.py": "",
        "a.py": "def use():\n    from house import b\n",
        "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.c import C\n",
        "c.py": "from .wing import hall\nclass C: ...\n",
        "wing/__init__.py": "from house import d\n",
        "wing/hall.py": "from ..a import use\n",
        "d.py": "import json\n",
    }
    for name, text in sources.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    graph = build_import_graph(package)
    assert find_circular_modules(graph) == {"house.a", "house.b", "house.c", "house.wing.hall"}
    graph["house.wing.hall"].clear()
    assert find_circular_modules(graph) == set()


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_heavy_library_has_one_owner(library: str) -> None:
    for module, path in MODULES.items():
        if get_package(module) not in OWNERS[library]:
            roots = {name.partition(".")[0] for name in find_imported_names(path, module)}
            assert library not in roots, f"{module} imports {library}"


def test_the_product_never_imports_suites_or_tests() -> None:
    for module, path in MODULES.items():
        roots = {name.partition(".")[0] for name in find_imported_names(path, module)}
        assert not roots & {"suites", "tests"}, module


def test_every_package_has_its_arrows_stated() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ALLOWED)


@pytest.mark.parametrize(
    "module",
    [
        "cli.main",
        "bot.jobs.parse",
        "bot.jobs.publish",
        "bot.jobs.watch",
        "bot.jobs.nightly",
        "bot.jobs.restore",
    ],
)
def test_help_and_the_bot_load_no_heavy_library(module: str) -> None:
    code = (
        f"import sys, harness.{module}\n"
        "heavy = {'torch', 'ray', 'scipy', 'sqlalchemy', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

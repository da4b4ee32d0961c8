"""Imports go one way: the arrows of docs/architecture.md, read from the sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "harness"

ALLOWED = {
    "core": set(),
    "stats": {"core"},
    "store": {"core"},
    "attempt": {"core"},
    "rank": set(),
    "engine": {"core", "rank.wire"},
    "cluster": {"attempt", "core"},
    "analysis": {"stats", "store", "core"},
    "report": {"analysis", "stats", "store", "core"},
    "driver": {"cluster", "report", "analysis", "attempt", "store", "stats", "core"},
    "bot": {"report", "analysis.report_model", "core"},
    "cli": {"driver", "bot", "core"},
}

#: Libraries that only one package may import.
OWNERS = {"ray": {"cluster"}, "torch": {"engine"}, "sqlalchemy": {"store"}, "githubkit": {"bot"}}


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(package: str) -> list[Path]:
    return sorted((PACKAGE / package).rglob("*.py"))


def is_allowed(package: str, name: str) -> bool:
    inner = name.removeprefix("harness.")
    return any(inner == ok or inner.startswith(ok + ".") for ok in {package, *ALLOWED[package]})


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_its_arrows_allow(package: str) -> None:
    for path in modules(package):
        inside = {name for name in imported_names(path) if name.startswith("harness.")}
        wrong = sorted(name for name in inside if not is_allowed(package, name))
        assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}"


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_a_heavy_library_has_one_owner(library: str) -> None:
    for package in sorted(set(ALLOWED) - OWNERS[library]):
        for path in modules(package):
            roots = {name.partition(".")[0] for name in imported_names(path)}
            assert library not in roots, f"{path.relative_to(PACKAGE)} imports {library}"


def test_the_product_never_imports_suites_or_tests() -> None:
    for path in PACKAGE.rglob("*.py"):
        roots = {name.partition(".")[0] for name in imported_names(path)}
        assert not roots & {"suites", "tests"}, path


def test_every_package_has_its_arrows_stated() -> None:
    assert {p.parent.name for p in PACKAGE.glob("*/__init__.py")} == set(ALLOWED)


@pytest.mark.parametrize(
    "module",
    [
        "cli.main",
        "bot.jobs.parse",
        "bot.jobs.publish",
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

"""The site builds without a warning, and its pages load nothing from elsewhere."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.engine_arguments import ARGUMENTS
from tests.docs.pages import PROJECT
from tools.reference_pages import list_commands

LOADING = re.compile(
    r"<(?:link|script|img|iframe|source)\b[^>]*\b(?:href|src)=[\"']?(?:https?:)?//"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    pages = {page.relative_to(PROJECT / "docs") for page in (PROJECT / "docs").rglob("*.md")}
    assert {page for page in pages if not (site / page).with_suffix(".html").is_file()} == set()


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    assert LOADING.search('<script src="https://cdn.example/x.js">')
    loading = {page.name: LOADING.findall(page.read_text()) for page in site.rglob("*.html")}
    assert {page: found for page, found in loading.items() if found} == {}


def test_the_page_on_the_command_line_has_every_option(site: Path) -> None:
    page = html.unescape((site / "reference/cli.html").read_text())
    for command in list_commands():
        assert f"harness {command.name}".rstrip() in page
        assert [flag for flag in command.flags if flag not in page] == []


def test_the_page_on_engine_arguments_has_each(site: Path) -> None:
    page = (site / "reference/engine-arguments.html").read_text()
    assert [name for name in ARGUMENTS if f"<code>{name}</code>" not in page] == []

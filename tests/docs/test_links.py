"""Every link within the documents leads somewhere, and so does every page that a source names."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import (
    PROJECT,
    find_anchors,
    find_code,
    find_links,
    find_named_pages,
    list_tracked_files,
)

PAGES = list_tracked_files("*.md")


def find_broken_links(page: Path) -> list[str]:
    broken = []
    for link in find_links(page):
        target = urlsplit(link)
        if target.scheme:
            continue
        path = (page.parent / unquote(target.path)).resolve() if target.path else page
        if not path.exists() or PROJECT not in path.parents:
            broken.append(f"{link}: no such file")
        elif target.fragment and target.fragment not in find_anchors(path):
            broken.append(f"{link}: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_page_links_only_to_what_is_there(page: Path) -> None:
    assert find_broken_links(page) == []


def test_a_missing_file_or_heading_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.docs.test_links.PROJECT", tmp_path)
    (tmp_path / "other.md").write_text("# Title\n\n## Two `words` here\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n\n[a](gone.md) [b](#here) [c](#there) `[d](code.md)`\n"
        "[e](other.md#two-words-here) [f](other.md#no) [g](../outside.md) [h](https://x.y/z)\n"
    )
    broken = [found.partition(":")[0] for found in find_broken_links(page)]
    assert broken == ["gone.md", "#there", "other.md#no", "../outside.md"]


def test_every_page_that_a_file_names_exists() -> None:
    named = {
        (str(path.relative_to(PROJECT)), name)
        for path in list_tracked_files()
        if path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".json", ".sh", ".txt"}
        for name in find_named_pages(path)
    }
    assert sorted((file, name) for file, name in named if not (PROJECT / name).is_file()) == []


def test_every_page_of_the_site_is_reached_from_its_home() -> None:
    """The navigation lists each page (mkdocs checks that); the README leads home, home to each."""
    readme = set(find_links(PROJECT / "README.md"))
    assert "docs/index.md" in readme
    home = {f"docs/{link.partition('#')[0]}" for link in find_links(PROJECT / "docs/index.md")}
    pages = {str(path.relative_to(PROJECT)) for path in list_tracked_files("docs/*.md")}
    assert sorted(pages - home - readme) == []


def test_every_path_that_a_page_names_as_code_exists() -> None:
    path_of_ours = re.compile(r"(harness|tests|docs|suites|benchmarks|tools|\.ci)/[\w./-]*")
    named = {
        (str(page.relative_to(PROJECT)), code)
        for page in PAGES
        if "reference/gpu" not in str(page)  # These say what was there on their day.
        for code in find_code(page)
        if path_of_ours.fullmatch(code)
    }
    assert sorted((page, path) for page, path in named if not (PROJECT / path).exists()) == []


def test_no_tracked_text_holds_a_conflict_of_a_merge() -> None:
    marker = re.compile(rb"^(<{7} |>{7} )", re.MULTILINE)
    files = list_tracked_files()
    assert [str(path) for path in files if marker.search(path.read_bytes())] == []

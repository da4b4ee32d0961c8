"""What the tests of the documents need to know of Markdown: links, headings, anchors."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown.extensions.toc import slugify, unique
from markdown_it import MarkdownIt
from markdown_it.token import Token

PROJECT = Path(__file__).parents[2]


def list_tracked_files(*patterns: str) -> list[Path]:
    """Return the files that git tracks and that are there, as absolute paths."""
    named = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [PROJECT / name for name in named.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def parse(path: Path) -> list[Token]:
    """Return a page's top-level tokens."""
    return MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))


def find_links(path: Path) -> Iterator[str]:
    """Yield the target of each link and image of a page; code is no link."""
    for token in parse(path):
        for child in token.children or ():
            if child.type in ("link_open", "image"):
                yield str(child.attrs.get("href") or child.attrs["src"])


def find_anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as MkDocs names them."""
    tokens = parse(path)
    taken: set[str] = set()
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(part.content for part in inline.children or ())
            unique(slugify(text, "-"), taken)
    return taken


def find_code(path: Path) -> Iterator[str]:
    """Yield the text of each block of code and of each piece of code within a line."""
    for token in parse(path):
        if token.type in ("code_block", "fence"):
            yield token.content
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content


def find_named_pages(path: Path) -> set[str]:
    """Return the pages under docs/ that a file names in its text."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return set(re.findall(r"\bdocs/[\w./-]+\.md\b", text))

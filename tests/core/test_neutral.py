"""Hostile test output in Markdown and in a workflow's log: shown, and never obeyed."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.core.neutral import neutral

RENDERER = MarkdownIt("js-default", {"html": True}).enable(["table", "strikethrough"])
WIDTHLESS = "\u200b"

#: Hostile text, and what a reader must see of it.
HOSTILE = {
    "\x1b[31mred\x1b[0m": "red",
    "\x1b[2K\x1b[1A\x1b[32m3 passed": "3 passed",
    "\x1b]0;title\x07after": "after",
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\": "click",
    "\x1bPq#0~~\x1b\\sixel": "sixel",
    "\x9b31mC1\x9dx\x9c": "C1",
    "\x1b]never closed": "never closed",
    "end\x1b": "end",
    "nul\x00bell\x07back\x08": "nulbellback",
    "line\r\nbreak\x0b\x0c\x85\u2028\u2029end": "line break end",
    "admin\u202enimda\u2066\u2069": "adminnimda",
    "zero\u200bwidth\u200d\ufeff\u2060\u00ad": "zerowidth",
    "filler\u3164\u115f\ufe0f\u034f": "filler",
    "tag\U000e0041": "tag",
    "lone \ud800 surrogate \ue000 \uffff": "lone \ufffd surrogate \ufffd \ufffd",
    "  many \t\n spaces  ": "many spaces",
    "::add-mask::secret": "::add-mask::secret",
    "\n::stop-commands::x": "::stop-commands::x",
    "::error file=a.py::forged": "::error file=a.py::forged",
    "##[add-mask]secret": "##[add-mask]secret",
    "text ##[error]forged": "text ##[error]forged",
    "@everyone @org/team": "@everyone @org/team",
    "somebody@example.org": "somebody@example.org",
    "#123 owner/repo#4 GH-12": "#123 owner/repo#4 GH-12",
    "https://evil.example/x": "https://evil.example/x",
    "HTTP://EVIL.EXAMPLE": "HTTP://EVIL.EXAMPLE",
    "www.evil.example": "www.evil.example",
    "<https://evil.example>": "<https://evil.example>",
    "<!-- harness:sticky -->": "<!-- harness:sticky -->",
    "<!--": "<!--",
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "</code></td></table><h1>passed</h1>": "</code></td></table><h1>passed</h1>",
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "<details open>": "<details open>",
    "&lt;b&gt; &#64;user &copy;": "&lt;b&gt; &#64;user &copy;",
    "[click](https://evil.example)": "[click](https://evil.example)",
    "![x](https://evil.example/a.png)": "![x](https://evil.example/a.png)",
    "[ref]: https://evil.example": "[ref]: https://evil.example",
    "[^1]: footnote": "[^1]: footnote",
    "`code` ``` fence": "`code` ``` fence",
    "```\nfence": "``` fence",
    "~~~ fence": "~~~ fence",
    "~~struck~~": "~~struck~~",
    "a|b|c": "a|b|c",
    "|---|---|": "|---|---|",
    "a \\| b": "a \\| b",
    "\\": "\\",
    "**bold** *em* __bold__ _em_": "**bold** *em* __bold__ _em_",
    "test_a_name __init__": "test_a_name __init__",
    "# heading": "# heading",
    "===": "===",
    "---": "---",
    "- item": "- item",
    "+ item": "+ item",
    "* item": "* item",
    "1. item": "1. item",
    "23) item": "23) item",
    "> quote": "> quote",
    "> [!NOTE] forged": "> [!NOTE] forged",
    "- [x] done": "- [x] done",
    ":---": ":---",
    ":white_check_mark: :+1:": ":white_check_mark: :+1:",
    "$x$ $$y$$": "$x$ $$y$$",
    "    indented": "indented",
    "0/3 · 4.0 % [0.5 %, 13.7 %]": "0/3 · 4.0 % [0.5 %, 13.7 %]",
}  # fmt: skip

CONTEXTS = {
    "paragraph": ("{}", "<p>{}</p>"),
    "item": ("- {}", "<ul>\n<li>{}</li>\n</ul>"),
    "after a line": ("first\n{}", "<p>first\n{}</p>"),
    "code": ("<code>{}</code>", "<p><code>{}</code></p>"),
    "item with code": ("- 3 <code>{}</code> end", "<ul>\n<li>3 <code>{}</code> end</li>\n</ul>"),
}
TABLE = "| a | b |\n|---|---|\n| {} | <code>{}</code> |\n"


def assert_inert(text: str, seen: str) -> None:
    """As GitHub's two steps go: the rendered HTML, then its decoded text."""
    made = neutral(text, 10_000)
    for source, around in CONTEXTS.values():
        rendered = RENDERER.render(source.format(made)).strip()
        before, after = around.split("{}")
        assert rendered.startswith(before), rendered
        assert rendered.endswith(after), rendered
        assert shown(rendered[len(before) : len(rendered) - len(after)]) == seen
    cells = re.findall(r"<td>(.*?)</td>", RENDERER.render(TABLE.format(made, made)), re.S)
    assert [cell.count("<") for cell in cells] == [0, 2]
    assert shown(cells[0]) == seen
    assert shown(cells[1].removeprefix("<code>").removesuffix("</code>")) == seen


def shown(rendered: str) -> str:
    """What a reader sees, which nothing after the renderer turns into a link, image or mention."""
    assert "<" not in rendered, rendered
    text = html.unescape(rendered)
    for pattern in (
        r"@[\w-]", r"#\w", r"(?i)gh-[0-9]", r"://", r"(?i)www\.", r":[a-z0-9_+-]+:", "##",
    ):  # fmt: skip
        assert not re.search(pattern, text), (pattern, text)
    return text.replace(WIDTHLESS, "")


def assert_inert_in_a_log(made: str) -> None:
    assert not made.lstrip().startswith("::")
    assert "##[" not in made
    assert made.isprintable() or made == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(text: str) -> None:
    assert_inert(text, HOSTILE[text])
    assert_inert_in_a_log(neutral(text))


@given(st.text(alphabet=st.sampled_from("ab1 _*`~|[]()<>!#@:/-+=.&;$\\'\"wGH{}^%"), max_size=40))
def test_no_combination_of_marks_does_anything(text: str) -> None:
    assert_inert("x" + text, " ".join(("x" + text).split()))
    assert_inert("0/1 " + text, " ".join(("0/1 " + text).split()))


@given(st.text(st.characters(), max_size=200), st.integers(-5, 120))
def test_any_text_fits_its_limit_on_one_line(text: str, limit: int) -> None:
    made = neutral(text, limit)
    assert len(made) <= max(limit, 0)
    assert_inert_in_a_log(made)


@given(st.text(max_size=60))
def test_any_text_stays_in_its_cell(text: str) -> None:
    made = neutral(text, 10_000)
    rendered = RENDERER.render(TABLE.format(made or "-", made))
    assert rendered.count("<td>") == 2
    assert shown(re.findall(r"<td>(.*?)</td>", rendered, re.S)[0]) is not None


def test_what_does_not_fit_is_cut_between_references_and_says_so() -> None:
    assert neutral("<" * 10, 14) == "&lt;&lt;&lt;…"
    assert neutral("a" * 10, 10) == "a" * 10
    assert neutral("a" * 11, 10) == "a" * 9 + "…"
    assert neutral("\x00" * 100_000, 10) == "…"
    assert neutral("a", 0) == ""


def test_names_of_tests_can_be_copied() -> None:
    name = "suites/faults/test_stale_buffer.py::TestStaleBuffer::test_output_is_right"
    assert neutral(name) == name


def test_a_megabyte_of_escapes_takes_no_time() -> None:
    for hostile in ("\x1b]", "\x90", "\x1b[" + "0" * 50, ":a", "_", "\u202e"):
        assert len(neutral(hostile * 500_000, 300)) <= 300

"""Tables as lines of a terminal: numbers are never cut, and names keep the end that differs. Pure.

Where a table is wider than the screen, lists and labels are broken into several lines, then names
are cut at the front. Where even that is too wide, each row becomes a paragraph.
"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from harness.report.views import Column, Row, Shape, TableView

_GAP = 2
#: A name is never cut to fewer characters.
_SHORTEST_NAME = 16
_CUT = "…"
_MARK = "red"
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")


def clean_text(text: str) -> str:
    """Return text without control characters, which a terminal would obey."""
    return _CONTROL.sub("", text)


def lay_out(view: TableView, width: int) -> list[Text]:
    """Return the table as lines of at most `width` columns where its texts allow it."""
    view = replace(view, rows=tuple(map(_clean_row, view.rows)))
    widths = _find_widths(view, width)
    if widths is None:
        return _write_paragraphs(view, width)
    shortened = [
        shorten_names(_get_texts(view, i), widths[i]) if column.shape is Shape.NAME else None
        for i, column in enumerate(view.columns)
    ]
    lines = _write_heading(view.columns, widths)
    for number, row in enumerate(view.rows):
        texts = [
            entry.text if names is None else names[number]
            for entry, names in zip(row.entries, shortened, strict=True)
        ]
        lines += _write_row(view.columns, row, texts, widths)
    return lines


def _clean_row(row: Row) -> Row:
    entries = tuple(replace(entry, text=clean_text(entry.text)) for entry in row.entries)
    return replace(row, entries=entries)


def _get_texts(view: TableView, i: int) -> list[str]:
    return [row.entries[i].text for row in view.rows]


def _find_widths(view: TableView, width: int) -> list[int] | None:
    """Return the widths of the columns, or None if the table cannot be that narrow."""
    room = width - _GAP * (len(view.columns) - 1)
    widest = [
        max([_measure_heading(column), *map(cell_len, _get_texts(view, i))])
        for i, column in enumerate(view.columns)
    ]
    least = [_find_least(column, _get_texts(view, i)) for i, column in enumerate(view.columns)]
    for shapes in ((Shape.LIST,), (Shape.NAME,), (Shape.LABEL,)):
        for i, column in enumerate(view.columns):
            if column.shape in shapes and sum(widest) > room:
                widest[i] = max(least[i], widest[i] - (sum(widest) - room))
    return widest if sum(widest) <= room else None


def _find_least(column: Column, texts: Sequence[str]) -> int:
    parts = [part for text in texts for part in _break_text(text, column.shape, 0)]
    longest = max(map(cell_len, parts), default=0)
    if column.shape is Shape.NAME:
        longest = min(longest, _SHORTEST_NAME)
    return max(longest, _measure_heading(column))


def _measure_heading(column: Column) -> int:
    return max(cell_len(word) for word in _break_heading(column.name))


def _break_heading(name: str) -> list[str]:
    """Return the heading in one line, or in two before its unit."""
    head, bracket, unit = name.partition(" [")
    if bracket:
        return [head, f"[{unit}"]
    words = name.split(" ")
    return [name] if len(words) == 1 else [" ".join(words[:-1]), words[-1]]


def _break_text(text: str, shape: Shape, width: int) -> list[str]:
    """Return a text's lines: words together as far as they fit in `width`, at least one."""
    match shape:
        case Shape.NUMBER | Shape.NAME:
            return [text]
        case Shape.LIST:
            pieces = text.replace(", ", ",\0").split("\0")
        case Shape.LABEL:
            pieces = text.replace(" · ", " ·\0").replace(" ", "\0").replace("\0·", " ·").split("\0")
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if cell_len(lines[-1]) + 1 + cell_len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def shorten_names(names: Sequence[str], width: int) -> list[str]:
    """Return names of at most `width` columns, cut at the front; whole where cutting merges two."""
    short = {name: _cut_front(name, width) for name in names}
    taken = list(short.values())
    return [short[name] if taken.count(short[name]) == 1 else name for name in names]


def _cut_front(name: str, width: int) -> str:
    if cell_len(name) <= width:
        return name
    while cell_len(name) > width - 1:
        name = name[1:]
    return _CUT + name


def _write_heading(columns: Sequence[Column], widths: Sequence[int]) -> list[Text]:
    parts = [
        [c.name] if cell_len(c.name) <= width else _break_heading(c.name)
        for c, width in zip(columns, widths, strict=True)
    ]
    depth = max(map(len, parts))
    lines = []
    for line in range(depth):
        texts = [part[line - depth] if len(part) >= depth - line else "" for part in parts]
        lines.append(Text(_join(columns, texts, widths), style="bold"))
    return [*lines, Text("─" * (sum(widths) + _GAP * (len(widths) - 1)))]


def _write_row(
    columns: Sequence[Column], row: Row, texts: Sequence[str], widths: Sequence[int]
) -> list[Text]:
    broken = [
        _break_text(text, column.shape, width)
        for column, text, width in zip(columns, texts, widths, strict=True)
    ]
    lines = []
    for number in range(max(map(len, broken))):
        pieces = [part[number] if number < len(part) else "" for part in broken]
        line = Text(_join(columns, pieces, widths))
        start = 0
        for entry, width in zip(row.entries, widths, strict=True):
            if entry.marked:
                line.stylize(_MARK, start, start + width)
            start += width + _GAP
        lines.append(line)
    return lines


def _join(columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, text, width in zip(columns, texts, widths, strict=True):
        blank = " " * (width - cell_len(text))
        padded.append(blank + text if column.shape is Shape.NUMBER else text + blank)
    return (" " * _GAP).join(padded).rstrip()


def _write_paragraphs(view: TableView, width: int) -> list[Text]:
    lines = []
    for row in view.rows:
        first, *others = zip(view.columns, row.entries, strict=True)
        lines += [Text(line, style="bold") for line in textwrap.wrap(first[1].text, width)]
        for column, entry in others:
            parts = _break_text(entry.text, column.shape, width - 4 - cell_len(column.name))
            lines.append(Text(f"  {column.name}: {parts[0]}", style=_MARK if entry.marked else ""))
            lines += [Text(f"    {part}") for part in parts[1:]]
    return lines

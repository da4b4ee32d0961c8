"""Markdown below a limit: as many rows of the most important sections as it holds. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from harness.report import wording

#: So many rows of every section come before any further row of an important one.
_FIRST_ROWS = 5
#: Kept free for the lines that say what was left out.
_ONE_LINE = 100
_CLOSING = 400


@dataclass(frozen=True, slots=True)
class Section:
    """Lines of Markdown around rows of which any may be left out.

    `rows` are (rank, line): the highest ranks are left out first, and what stays keeps its place.
    `what` is what a row is called.
    """

    what: str
    rows: list[tuple[float, str]]
    head: str = ""
    tail: str = ""
    most: int | None = None
    """So many rows are shown at most, whatever the room."""
    ranked: list[int] = field(init=False)

    def __post_init__(self) -> None:
        by_rank = sorted(range(len(self.rows)), key=lambda index: self.rows[index][0])
        object.__setattr__(self, "ranked", by_rank[: self.most])

    def write(self, count: int) -> str:
        """Return the section with its `count` most important rows, and how many are left out."""
        lines = [self.head] if self.head else []
        lines += [self.rows[index][1] for index in sorted(self.ranked[:count])]
        if left := len(self.rows) - count:
            lines += ["", f"*{wording.LEFT_OUT.format(left, self.what)}*"]
        return "\n".join([*lines, *([self.tail] if self.tail else [])])


def make_list(what: str, title: str, rows: Sequence[str]) -> Section:
    """Return a list of at most twenty items, the first the most important."""
    return Section(what, list(enumerate(rows)), f"{title}\n" if title else "", most=20)


def fold(section: Section, title: str) -> Section:
    """Return the section behind a click."""
    opening = f"<details><summary>{title}: {len(section.rows)}</summary>\n\n"
    return replace(section, head=opening + section.head, tail="\n</details>")


def write_sections(sections: Sequence[Section], limit: int) -> str:
    """Return the sections in at most `limit` bytes of UTF-8, the first the most important.

    The first row of the first always stays, cut if even it does not fit.
    """
    room = limit - _CLOSING
    shown = [0] * len(sections)
    for at_most in (_FIRST_ROWS, None):
        for i, section in enumerate(sections):
            for index in section.ranked[shown[i] : at_most]:
                cost = _count_bytes(section.rows[index][1]) + (
                    0 if shown[i] else _count_frame(section)
                )
                if cost > room:
                    break
                room -= cost
                shown[i] += 1
    if not shown[0]:
        return _cut(sections[0].rows[0][1], limit)
    parts = [s.write(n) for s, n in zip(sections, shown, strict=True) if n]
    gone = Counter[str]()
    for section, count in zip(sections, shown, strict=True):
        gone[section.what] += 0 if count else len(section.rows)
    if dropped := [f"{n} {what}" for what, n in gone.items() if n]:
        parts.append(f"*Left out for length: {', '.join(dropped)}; run.json has them all.*")
    return _cut("\n\n".join(parts) + "\n", limit)


def _count_frame(section: Section) -> int:
    return _count_bytes(section.head) + _count_bytes(section.tail) + _ONE_LINE


def _count_bytes(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + 1


def _cut(text: str, limit: int) -> str:
    return text.encode("utf-8", "replace")[: max(limit, 0)].decode("utf-8", "ignore")

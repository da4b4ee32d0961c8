"""Tables as values that every format renders: columns with their shapes, and rows. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

NOTHING = "-"


class Shape(Enum):
    """How the texts of a column may be laid out where room is short."""

    #: Never cut and never broken.
    NUMBER = auto()
    #: Broken between words.
    LABEL = auto()
    #: Broken after commas.
    LIST = auto()
    #: One long word: cut at the front if the rest still tells the rows apart.
    NAME = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One text of a table. `marked`: a reader must not miss it."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and shape."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. The rows of the lowest `rank` are the most important ones."""

    entries: tuple[Entry, ...]
    rank: float = 0.0
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class TableView:
    """A table without the columns that say nothing, or the same in every row.

    `subject` is what it is about (suites), `facts` what all rows share.
    """

    what: str
    subject: tuple[str, ...]
    facts: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def drop_empty_columns(view: TableView) -> TableView:
    """Return the table without the columns that hold nothing in any row."""
    kept = [
        i
        for i in range(len(view.columns))
        if any(row.entries[i].text != NOTHING for row in view.rows)
    ]
    rows = tuple(Row(tuple(r.entries[i] for i in kept), r.rank, r.quiet) for r in view.rows)
    columns = tuple(view.columns[i] for i in kept)
    return TableView(view.what, view.subject, view.facts, columns, rows)

"""Tables of single commands, laid out as a report's are: numbers whole, long names cut in front."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from harness.report.terminal import print_view
from harness.report.views import Column, Entry, Row, Shape, TableView


def print_listing(
    console: Console,
    columns: Mapping[str, Shape],
    rows: Iterable[Sequence[str]],
    title: str = "",
) -> None:
    """Print rows of texts below their headings, and a title if one is given."""
    shown = tuple(Row(tuple(map(Entry, row))) for row in rows)
    headings = tuple(Column(name, shape) for name, shape in columns.items())
    print_view(TableView("listing", (), (), headings, shown), title, console)

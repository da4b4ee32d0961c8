"""The tables of a report made from `run.json`: cells, comparisons, kinds and tests."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.analysis.words import (
    common_label,
    is_other_order,
    kinds_text,
    rate_text,
    varied_label,
)
from harness.core.cell import Cell, cell_from_dict
from harness.core.neutral import neutral
from harness.report.fitting import Section, folded
from harness.report.sentences import rank

Run = Mapping[str, Any]

_MIB = 1 << 20
_AS_ASKED = "as asked"
#: From so many cells or comparisons on a table is long.
_MANY = 30
#: Columns that are not numbers.
_LEFT = ("cell", "kinds", "order seen", "compared", "finding", "kind", "test")


def cell_tables(cells: Sequence[Run]) -> list[Section]:
    """One suite's cells: counts, rates, what was captured.

    Of many cells those in which nothing happened are behind a click.
    """
    as_asked = all(_is_as_asked(cell) for cell in cells)
    common = (neutral(common_label(_axes(cells))), "capture order as asked" if as_asked else "")
    title = " · ".join((_suite(cells), *filter(None, common)))
    quiet = [_is_quiet(cell) and len(cells) > _MANY for cell in cells]
    labels = list(zip(_labels(cells), cells, quiet, strict=True))
    eventful = _cell_table(title, [(label, cell) for label, cell, hidden in labels if not hidden])
    if not any(quiet):
        return [eventful]
    rest = _cell_table("", [(label, cell) for label, cell, hidden in labels if hidden])
    return [eventful, folded(rest, f"Cells of {_suite(cells)} without a failure")]


def _is_quiet(cell: Run) -> bool:
    order = cell["order"]
    wrong = is_other_order(order["requested"], order["observed"])
    return not (cell["failed"] or cell["infra"] or wrong) and _valid(cell) > 0


def _cell_table(title: str, rows: Sequence[tuple[str, Run]]) -> Section:
    columns = {"cell": [label for label, _ in rows]} | {
        name: [text(cell) for _, cell in rows] for name, text in _COLUMNS.items()
    }
    return _table("cells", title, columns, [-(cell["rate"] or 0) for _, cell in rows])


def _is_as_asked(cell: Run) -> bool:
    order = cell["order"]
    return bool(order["observed"] == order["requested"] != "none")


def _order(cell: Run) -> str:
    asked, observed = (neutral(cell["order"][name], 100) for name in ("requested", "observed"))
    if is_other_order(asked, observed):
        return f"**{observed}, asked: {asked}**"
    if _is_as_asked(cell):
        return _AS_ASKED
    return "-" if observed in ("", "none") else observed


def _captured(cell: Run) -> str:
    pool, peak = cell["capture"]["pool_bytes"], cell["capture"]["peak_bytes"]
    return f"{pool / _MIB:.1f} / {peak / _MIB:.1f}" if pool or peak else "-"


_COLUMNS: dict[str, Callable[[Run], str]] = {
    "failed": lambda cell: f"{cell['failed']}/{_valid(cell)}",
    "rate [95 %]": lambda cell: rate_text(cell["failed"], _valid(cell), _bounds(cell["interval"])),
    "infra": lambda cell: str(cell["infra"]),
    "kinds": lambda cell: neutral(kinds_text(cell["kinds"])) or "-",
    "order seen": _order,
    "pool / peak MiB": _captured,
    "s": lambda cell: f"{cell['seconds']:.1f}" if cell["seconds"] else "-",
}


def contrasts(compared: Sequence[Run]) -> Section:
    """What each planned comparison came to."""
    columns = {
        "compared": [_compared(one) for one in compared],
        "failed": [_counts(one) for one in compared],
        "difference [95 %]": [_difference(one) for one in compared],
        "p": [_p(one) for one in compared],
        "finding": [neutral(one["finding"]) for one in compared],
    }
    many = len(compared) > _MANY
    title = "" if many else "**Comparisons**, p corrected for their number"
    table = _table("comparisons", title, columns, [rank(one) for one in compared], most=100)
    return folded(table, "Comparisons, p corrected for their number") if many else table


def _compared(one: Run) -> str:
    value, reference = (Cell(((one["axis"], one[n]),)).label for n in ("value", "reference"))
    where = f" ({one['where']})" if one["where"] else ""
    return neutral(f"{value} against {reference}{where}")


def _counts(one: Run) -> str:
    if one["counts"] is None:
        return "-"
    k, n, reference_k, reference_n = one["counts"]
    return f"{k}/{n} against {reference_k}/{reference_n}"


def _p(one: Run) -> str:
    return "-" if one["p_adjusted"] is None else f"{one['p_adjusted']:.2g}"


def _difference(one: Run) -> str:
    if one["difference"] is None or one["interval"] is None:
        return "-"
    low, high = (round(100 * bound) for bound in one["interval"])
    return f"{round(100 * one['difference']):+d} points [{low}, {high}]"


def kinds(cells: Sequence[Run]) -> Section:
    """Each kind's own rate, where several compete: an attempt fails of one kind only."""
    labels = _labels(cells)
    rows = [(k, i) for i, cell in enumerate(cells) for k in cell["kinds"]]
    rows = sorted(rows) if len({kind for kind, _ in rows}) > 1 else []
    columns = {
        "kind": [neutral(kind, 100) for kind, _ in rows],
        "cell": [labels[i] for _, i in rows],
        "failed": [f"{cells[i]['kinds'][k]}/{_valid(cells[i])}" for k, i in rows],
        "rate [95 %]": [
            rate_text(
                cells[i]["kinds"][k], _valid(cells[i]), _bounds(cells[i]["kind_intervals"].get(k))
            )
            for k, i in rows
        ],
    }
    ranks = [-cells[i]["kinds"][k] for k, i in rows]
    if len(rows) > _MANY:
        title = f"Kinds of failure in {_suite(cells)} (exploratory)"
        return folded(_table("kinds", "", columns, ranks), title)
    title = f"**Kinds of failure** (exploratory) in {_suite(cells)}"
    return _table("kinds", title, columns, ranks)


def tests(cells: Sequence[Run]) -> Section:
    """A suite's tests that failed or were not reached, behind a click."""
    rows = [
        (test, label)
        for cell, label in zip(cells, _labels(cells), strict=True)
        for test in cell["tests"]
        if test["failed"] or test["precluded"]
    ]
    found = [test for test, _ in rows]
    columns = {
        "test": [f"<code>{neutral(_short(test['id']), 400)}</code>" for test in found],
        "cell": [label for _, label in rows],
        "failed": [f"{test['failed']}/{_valid(test)}" for test in found],
        "rate [95 %]": [
            rate_text(test["failed"], _valid(test), _bounds(test["interval"])) for test in found
        ],
        "precluded": [str(test["precluded"] or "-") for test in found],
        "recovered": [str(test["recovered"] or "-") for test in found],
        "kinds": [neutral(kinds_text(test["kinds"])) or "-" for test in found],
    }
    title = f"Tests of {_suite(cells)} that did not always pass (exploratory)"
    return folded(
        _table("tests", "", columns, [-test["failed"] for test, _ in rows], most=100), title
    )


def _short(test: str) -> str:
    """A test's name in its file, which the suite says."""
    return test.partition("::")[2] or test


def _suite(cells: Sequence[Run]) -> str:
    return f"<code>{neutral(cells[0]['suite'], 1000)}</code>"


def _table(
    what: str,
    title: str,
    columns: Mapping[str, Sequence[str]],
    ranks: Sequence[float],
    most: int | None = None,
) -> Section:
    """A table without the columns that say nothing in any row. Numbers stay on one line."""
    names = [name for name, texts in columns.items() if set(texts) not in ({"-"}, {_AS_ASKED})]
    shown = [columns[n] if n in _LEFT else list(map(_unbroken, columns[n])) for n in names]
    sides = ["---" if name in _LEFT else "---:" for name in names]
    head = [title, ""] if title else []
    head += [f"| {' | '.join(names)} |", f"| {' | '.join(sides)} |"]
    lines = [f"| {' | '.join(row)} |" for row in zip(*shown, strict=True)]
    return Section(what, list(zip(ranks, lines, strict=True)), "\n".join(head), most=most)


def _unbroken(text: str) -> str:
    return text if len(text) > 30 else text.replace(" ", "\u00a0")


def _labels(cells: Sequence[Run]) -> list[str]:
    """What varies among the cells; their names in the run where that does not tell them apart."""
    axes = _axes(cells)
    labels = [varied_label(cell, axes) for cell in axes]
    if len(set(labels)) < len(cells) or "" in labels:
        labels = [cell["name"] for cell in cells]
    return [neutral(label) for label in labels]


def _axes(cells: Sequence[Run]) -> list[Cell]:
    return [cell_from_dict(cell["axes"]) for cell in cells]


def _valid(counts: Run) -> int:
    return int(counts["passed"] + counts["failed"])


def _bounds(interval: Run | None) -> tuple[float, float] | None:
    return (interval["low"], interval["high"]) if interval else None

"""The pictures of the HTML report, as Plotly figures in plain JSON values. Pure.

Colours are names that the page replaces by those of its theme. Every picture has a table or a
sentence with the same figures beside it, so that nobody depends on colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from harness.analysis.report_model import CellRate, Report
from harness.core.records import AttemptRow
from harness.core.statuses import VALID
from harness.report.formats.text import make_plain
from harness.report.run_export import HistoryPoint

_MIB = 1 << 20
#: Pixels of a horizontal picture's frame, and of each of its rows.
_FRAME, _ROW = 110, 30


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture: its id in the page, what it shows, and Plotly's data and layout."""

    name: str
    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


def label_page_cells(cells: Sequence[CellRate]) -> list[str]:
    """Return a label of each cell, unique in the page."""
    several = len({cell.suite for cell in cells}) > 1
    labels = [_write_label(c.name if several else c.axes.label) for c in cells]
    return labels if len(set(labels)) == len(labels) else [_write_label(c.name) for c in cells]


def _write_label(text: str) -> str:
    """Return text that Plotly shows as it is; it would obey tags, links among them."""
    return make_plain(text, 200).replace("&", "&amp;").replace("<", "&lt;")


def draw_rates(report: Report) -> Figure:
    """Draw every cell's failure rate with its interval, and the gate as a line."""
    cells = [cell for cell in report.cells if cell.rate is not None]
    rates = [100 * (cell.rate or 0) for cell in cells]
    bounds = [cell.interval for cell in cells]
    above = [100 * b.high - r if b else 0 for b, r in zip(bounds, rates, strict=True)]
    below = [r - 100 * b.low if b else 0 for b, r in zip(bounds, rates, strict=True)]
    error = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rates,
        "y": label_page_cells(cells),
        "error_x": {**error, "thickness": 2, "width": 6, "color": "@text"},
        "marker": {"size": 11, "color": "@accent"},
        "cliponaxis": False,  # a rate of 0 lies on the axis, which would cut its mark in half
        "hovertemplate": "%{y}<br>%{x:.2f} %<extra></extra>",
    }
    shapes = []
    if report.gate:
        at = 100 * report.gate.max_flake_rate
        line = {"color": "@bad", "dash": "dash", "width": 2}
        whole = {"yref": "paper", "y0": 0, "y1": 1}
        shapes = [{"type": "line", "x0": at, "x1": at, "line": line, **whole}]
    axis = {"title": {"text": "failed attempts, % (95 % interval)"}, "rangemode": "tozero"}
    return Figure(
        "rates", "Failure rate per cell", [trace], {**_lay_out(len(cells), axis), "shapes": shapes}
    )


def draw_kinds(cells: Sequence[CellRate]) -> Figure | None:
    """Draw the failures of every cell by kind; None if nothing failed."""
    kinds = list(dict.fromkeys(kind for cell in cells for kind in cell.kinds))
    if not kinds:
        return None
    labels = label_page_cells(cells)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": _write_label(kind),
            "y": labels,
            "x": [cell.kinds.get(kind, 0) for cell in cells],
            "text": [cell.kinds.get(kind) or "" for cell in cells],
            "marker": {"pattern": {"shape": "/x-|+."[i % 6] if i else ""}},
        }
        for i, kind in enumerate(kinds)
    ]
    most = max(cell.failed for cell in cells)
    axis = {"title": {"text": "failed attempts"}, "dtick": max(1, round(most / 8))}
    layout = {**_lay_out(len(cells), axis), "barmode": "stack", "showlegend": True}
    return Figure("kinds", "Kinds of failure per cell", data, layout)


def draw_capture_memory(cells: Sequence[CellRate]) -> Figure | None:
    """Draw pool bytes after each captured graph, a line per cell; None without captures."""
    data: list[dict[str, Any]] = []
    for cell, label in zip(cells, label_page_cells(cells), strict=True):
        trace = [one for one in cell.capture.trace if isinstance(one.get("pool_bytes"), int)]
        if trace:
            names = [_write_label(f"{one.get('role', '')} {one.get('bs', '')}") for one in trace]
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": label,
                    "x": list(range(1, len(trace) + 1)),
                    "y": [one["pool_bytes"] / _MIB for one in trace],
                    "text": names,
                    "hovertemplate": "%{text}: %{y:.1f} MiB<extra>%{fullData.name}</extra>",
                    "marker": {"symbol": len(data) % 8},
                }
            )
    if not data:
        return None
    layout = {
        "xaxis": {"title": {"text": "graphs captured (hover: role and batch size)"}},
        "yaxis": {"title": {"text": "graph pool, MiB"}, "rangemode": "tozero"},
        "height": 380,
        "showlegend": True,
    }
    return Figure("memory", "Capture memory, last attempt of each cell", data, layout)


def draw_durations(cells: Sequence[CellRate], attempts: Sequence[AttemptRow]) -> Figure | None:
    """Draw the quartiles and extremes of the attempts' durations per cell."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for row in attempts:
        if row.status in VALID:
            seconds.setdefault((row.suite, row.cell), []).append(row.wall_seconds)
    data = []
    for cell, label in zip(cells, label_page_cells(cells), strict=True):
        found = sorted(seconds.get((cell.suite, cell.axes.key), ()))
        if found:
            q1, median, q3 = quantiles(found, n=4) if len(found) > 1 else [found[0]] * 3
            ends = {"lowerfence": [found[0]], "upperfence": [found[-1]]}
            quartiles = {"q1": [q1], "median": [median], "q3": [q3]}
            data.append(
                {
                    "type": "box",
                    "orientation": "h",
                    "y": [label],
                    "name": label,
                    **quartiles,
                    **ends,
                    "line": {"color": "@accent"},
                }
            )
    if not data:
        return None
    axis = {"title": {"text": "seconds per attempt"}, "rangemode": "tozero"}
    return Figure("durations", "Durations: least, quartiles, most", data, _lay_out(len(data), axis))


def draw_history(history: Sequence[HistoryPoint]) -> Figure | None:
    """Draw the failure rate of earlier runs of the same suites; None if there is one run alone."""
    points = [point for point in history if point.valid]
    if len(points) < 2:
        return None
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [_write_label(point.run_id) for point in points],
        "y": [100 * point.failed / point.valid for point in points],
        "text": [f"{point.failed}/{point.valid}" for point in points],
        "hovertemplate": "run %{x}: %{text}<extra></extra>",
        "line": {"color": "@accent"},
    }
    layout = {
        "xaxis": {"type": "category", "title": {"text": "run, the oldest first"}},
        "yaxis": {"title": {"text": "failed attempts, %"}, "rangemode": "tozero"},
        "height": 300,
    }
    return Figure("history", "History of these suites", [trace], layout)


def _lay_out(rows: int, axis: dict[str, Any]) -> dict[str, Any]:
    """Return the layout of a picture with a row per cell, the first on top."""
    return {
        "xaxis": axis,
        "yaxis": {
            "autorange": "reversed",
            "automargin": True,
            "type": "category",
            "ticklabelstandoff": 8,
        },
        "height": _FRAME + _ROW * max(rows, 2),
        "showlegend": False,
    }

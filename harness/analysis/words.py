"""Wordings shared by every format: one way to write a rate, a kind count, a duration.

The bot imports this: no statistics.
"""

from collections.abc import Mapping, Sequence

from harness.core.cell import Cell


def percent(value: float) -> str:
    """A share with the digits that matter: 0.3 %, 7.1 %, 42 %."""
    shown = 100 * value
    return f"{shown:.0f} %" if shown >= 10 or shown == 0 else f"{shown:.1f} %"


def rate_text(failed: int, valid: int, bounds: tuple[float, float] | None) -> str:
    """`4.0 % [0.5 %, 13.7 %]`; what zero failures bound; or why there is no interval."""
    if not valid:
        return "cannot say: no valid attempt"
    if bounds is None:
        return f"{percent(failed / valid)} (deterministic: one seed, one observation)"
    low, high = map(percent, bounds)
    return f"{percent(failed / valid)} [{low}, {high}]"


def kinds_text(kinds: Mapping[str, int]) -> str:
    """`illegal-access 3, hang 1`, the most frequent first."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{kind} {n}" for kind, n in ordered)


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def is_other_order(requested: str, observed: str) -> bool:
    """Whether an order was observed that is not the one asked for."""
    silent = observed in ("none", "single") or requested in ("gate", "shuffled")
    return not silent and requested != observed


def varied_label(cell: Cell, cells: Sequence[Cell]) -> str:
    """The cell's values on the axes that vary among `cells`; the first axis where none does."""
    names = _shown(cells)
    return Cell(tuple((n, v) for n, v in cell.axes if n in names)).label


def common_label(cells: Sequence[Cell]) -> str:
    """The values that all cells share, less what `varied_label` shows; empty where none is."""
    shown = _shown(cells)
    return Cell(tuple((n, v) for n, v in cells[0].axes if n not in shown)).label


def _shown(cells: Sequence[Cell]) -> set[str]:
    axes = [name for name, _ in cells[0].axes]
    return {n for n in axes if len({c.get(n) for c in cells}) > 1} or set(axes[:1])

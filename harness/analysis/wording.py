"""How a share, a rate, a kind count, a duration and a cell are written: one way for all formats."""

from collections.abc import Mapping, Sequence

from harness.core.cell import Cell

NO_RATE = "cannot say: no valid attempt"
FIXED_SEED = (
    "one fixed seed, {} times: {}; repeats of one seed are one observation, so no rate is claimed"
)


def format_percent(value: float) -> str:
    """Return a share with the digits that matter: 0.3 %, 7.1 %, 42 %."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def format_rate(failed: int, valid: int, bounds: tuple[float, float] | None) -> str:
    """Return `4.0 % [0.5 %, 13.7 %]`, or why there is no rate or no interval."""
    if not valid:
        return NO_RATE
    if bounds is None:
        return f"{format_percent(failed / valid)} (deterministic: one seed, one observation)"
    low, high = map(format_percent, bounds)
    return f"{format_percent(failed / valid)} [{low}, {high}]"


def format_kinds(kinds: Mapping[str, int]) -> str:
    """Return `illegal-access 3, hang 1`, the most frequent first."""
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{kind} {n}" for kind, n in ordered)


def format_duration(seconds: float) -> str:
    """Return `45 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def label_cell(cell: Cell, cells: Sequence[Cell]) -> str:
    """Return the cell's values on the axes that vary among `cells`, or on the first axis."""
    names = _find_varied_axes(cells)
    return Cell(tuple((n, v) for n, v in cell.axes if n in names)).label


def label_common(cells: Sequence[Cell]) -> str:
    """Return the values that all cells share, without those that `label_cell` shows."""
    varied = _find_varied_axes(cells)
    return Cell(tuple((n, v) for n, v in cells[0].axes if n not in varied)).label


def _find_varied_axes(cells: Sequence[Cell]) -> set[str]:
    axes = [name for name, _ in cells[0].axes]
    return {n for n in axes if len({c.get(n) for c in cells}) > 1} or set(axes[:1])

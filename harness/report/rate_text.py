"""A counted rate as text, for every table. Pure."""

from harness.analysis.report_model import CellRate, TestRate
from harness.analysis.wording import format_rate
from harness.stats.intervals import Interval


def write_rate(rated: CellRate | TestRate) -> str:
    """Return `4.0 % [0.5 %, 14 %]`."""
    return format_rate(rated.failed, rated.valid, get_limits(rated.interval))


def get_limits(interval: Interval | None) -> tuple[float, float] | None:
    """Return the two bounds of an interval."""
    return (interval.low, interval.high) if interval else None

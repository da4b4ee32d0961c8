"""Cells that could not run here, those of one reason together. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.report_model import RefusedCell

_BETWEEN = " · "


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """Cells of one suite that cannot run here for one reason."""

    suite: str
    reason: str
    labels: tuple[str, ...]

    @property
    def text(self) -> str:
        """The cells in one line: `ascending, descending · fa2, fa3 · tp 2` for all four of them."""
        columns = [list(dict.fromkeys(column)) for column in self._list_columns()]
        if columns and math.prod(map(len, columns)) == len(self.labels):
            return _BETWEEN.join(", ".join(values) for values in columns)
        return "; ".join(self.labels)

    def _list_columns(self) -> list[tuple[str, ...]]:
        """Return what stands in each place of the labels; nothing if they differ in length."""
        parts = [label.split(_BETWEEN) for label in self.labels]
        if len({len(one) for one in parts}) != 1:
            return []
        return list(zip(*parts, strict=True))


def group_refused(refused: Sequence[RefusedCell]) -> list[RefusedGroup]:
    """Return the cells by suite and reason, in the order of the plan."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in refused:
        alike.setdefault((one.suite, one.reason), []).append(one.axes.label)
    return [RefusedGroup(suite, reason, tuple(labels)) for (suite, reason), labels in alike.items()]

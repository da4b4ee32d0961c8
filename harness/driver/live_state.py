"""What a run is doing right now, from its plan and its attempts so far."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.analysis.contrast_pairs import name_cells
from harness.core.plan import Plan, PlannedAttempt, schedule, schedule_warmups
from harness.core.statuses import AttemptStatus
from harness.driver.queue import WARMUP_PREFIX
from harness.report.live import LiveAttempt, LiveCell, LiveRun


@dataclass
class LiveState:
    """Collects what happens and gives a `LiveRun` of any moment. Times are in seconds."""

    run_id: str
    plan: Plan
    counts: Counter[tuple[int, AttemptStatus]] = field(default_factory=Counter)
    """Ended attempts by place in the queue and status."""
    under_way: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Start and last deed of rank 0, by attempt."""
    devices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Devices by attempt, if they are known."""
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue: list[PlannedAttempt] = schedule(self.plan)
        self._warmups = schedule_warmups(self.plan)

    def end(self, attempt_id: str, status: AttemptStatus, failure: str | None) -> None:
        """Count an attempt that has ended."""
        self.under_way.pop(attempt_id, None)
        self.counts[read_position(attempt_id), status] += 1
        if failure:
            self.failures.append(f"{attempt_id}: {failure}")

    def act(self, attempt_id: str, now: float, doing: str | None) -> None:
        """Note what an attempt does."""
        started, before = self.under_way.get(attempt_id, (now, "started"))
        self.under_way[attempt_id] = started, doing or before

    def knows(self, attempt_id: str) -> bool:
        """Return whether the plan has an attempt of this id."""
        queue = self._warmups if is_warmup(attempt_id) else self.queue
        return read_position(attempt_id) < len(queue)

    def _label(self, attempt_id: str, labels: list[str]) -> str:
        position = read_position(attempt_id)
        if not is_warmup(attempt_id):
            return labels[position]
        one = self._warmups[position]
        return f"warm-up, {name_cells(self.plan.runnable)[one.suite, one.cell.key]}"

    def show(self, status: str, now: float, seconds_left: float | None) -> LiveRun:
        """Return the run as it is now."""
        names = name_cells(self.plan.runnable)
        labels = [names[one.suite, one.cell.key] for one in self.queue]
        by_label: Counter[tuple[str, AttemptStatus]] = Counter()
        for (position, ended), n in self.counts.items():
            by_label[labels[position], ended] += n
        return LiveRun(
            id=self.run_id,
            status=status,
            cells=tuple(_count_cell(label, by_label, self.plan) for label in names.values()),
            attempts=tuple(
                LiveAttempt(
                    one,
                    self._label(one, labels),
                    now - started,
                    doing,
                    self.devices.get(one, ()),
                )
                for one, (started, doing) in self.under_way.items()
            ),
            failures=tuple(self.failures),
            seconds_left=seconds_left,
        )


def _count_cell(label: str, counts: Counter[tuple[str, AttemptStatus]], plan: Plan) -> LiveCell:
    return LiveCell(
        label=label,
        passed=counts[label, AttemptStatus.PASSED],
        failed=counts[label, AttemptStatus.FAILED],
        infra=counts[label, AttemptStatus.INFRA],
        planned=plan.repeats,
    )


def read_position(attempt_id: str) -> int:
    """Return the place in the queue that an attempt's id names: 7 for `ab12.7` and `ab12.7r1`."""
    found = re.match(rf"{WARMUP_PREFIX}?(\d+)", attempt_id.rpartition(".")[2])
    return int(found[1]) if found else 0


def is_warmup(attempt_id: str) -> bool:
    """Return whether an attempt's id is that of a warm-up attempt."""
    return attempt_id.rpartition(".")[2].startswith(WARMUP_PREFIX)


def estimate_seconds_left(started: Iterable[float], now: float, left: int) -> float | None:
    """Return the time that `left` attempts take at the pace so far; None before the first ended."""
    starts = sorted(started)
    return (now - starts[0]) / len(starts) * left if starts and left else None

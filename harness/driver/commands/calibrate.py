"""`harness calibrate`: known faults and a clean control through the ordinary pipeline."""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.statuses import VALID
from harness.diagnosis.scoreboard import Score, Scoreboard
from harness.diagnosis.truth import Truth, read_truth
from harness.driver import scoreboard_lines as lines
from harness.driver.calibrating import Calibration, score_fault
from harness.driver.examining import count_failures
from harness.driver.experiments import Laboratory, open_laboratory
from harness.driver.options import RunOptions
from harness.driver.spelling import spell_suite

FOLDER = Path("suites/faults")
CONTROL = FOLDER / "test_clean_control.py"

#: The name of the clean control in `--only`.
CLEAN = "clean"

#: Attempts of the clean control, quick and whole.
QUICK_CLEAN, FULL_CLEAN = 20, 200


@dataclass(slots=True)
class _Course:
    """A calibration that goes on: what is asked, and what is known so far."""

    wanted: Calibration
    truths: list[Truth]
    console: Console
    began: float = field(default_factory=time.monotonic)
    scores: list[Score] = field(default_factory=list)
    clean: tuple[int, int] = (0, 0)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def clean_wanted(self) -> int:
        """Attempts of the clean control."""
        asked = not self.wanted.only or CLEAN in self.wanted.only
        return (QUICK_CLEAN if self.wanted.quick else FULL_CLEAN) * asked

    def make_board(self) -> Scoreboard:
        """Return the scoreboard as it is now, and write it out."""
        self.machine["seconds"] = round(time.monotonic() - self.began, 1)
        scores = tuple(sorted(self.scores, key=lambda one: one.truth.fault))
        board = Scoreboard(scores, *self.clean, self.clean_wanted, self.machine)
        if self.wanted.json is not None:
            text = json.dumps(board.as_dict(), indent=1)
            self.wanted.json.write_text(text + "\n", encoding="utf-8")
        return board


def calibrate(wanted: Calibration, location: str | None) -> int:
    """Run every known fault and the clean control. Return the exit code.

    0: every fault was detected, of the right kind, and the control never failed; 1: not so.
    The JSON file is written anew after each fault, so that an interrupted calibration leaves what
    it found.
    """
    course = _Course(wanted, find_truths(wanted.only), Console())
    course.machine = describe_machine(wanted)
    lines.print_start(course.console, wanted, len(course.truths), course.clean_wanted)
    for slots, truths in group_by_slots(course.truths, wanted):
        options = RunOptions(
            suites=(str(CONTROL),), device=wanted.device, slots=slots, tp=("1",),
            per_gpu=wanted.per_gpu,
        )  # fmt: skip
        with open_laboratory(options, location) as laboratory:
            _run_group(course, truths, laboratory, is_first=slots == wanted.slots)
    board = course.make_board()
    lines.print_board(course.console, board)
    return ExitCode.OK if board.is_good else ExitCode.FAILURES


def _run_group(
    course: _Course, truths: Sequence[Truth], laboratory: Laboratory, *, is_first: bool
) -> None:
    """Run what one pool of devices serves."""
    if is_first:
        course.machine["devices"] = len(laboratory.pool.members)
    if is_first and course.clean_wanted and not course.wanted.quick:
        _add_control(course, laboratory)  # first: a calibration that is cut short has it too
    for truth in truths:
        course.scores.append(score_fault(truth, laboratory, course.wanted))
        left = len(course.truths) - len(course.scores)
        spent = time.monotonic() - course.began
        lines.print_score(course.console, course.scores[-1], spent, left)
        course.make_board()

    if is_first and course.clean_wanted and course.wanted.quick:
        _add_control(course, laboratory)


def _add_control(course: _Course, laboratory: Laboratory) -> None:
    course.clean = _run_control(laboratory, course)
    lines.print_clean(course.console, *course.clean)
    course.make_board()


def find_truths(only: Sequence[str]) -> list[Truth]:
    """Return the known faults, by name. Raise UsageError for a name that none has."""
    found = [one for path in sorted(FOLDER.glob("test_*.py")) if (one := read_truth(path))]
    known = {one.fault for one in found}
    if not known:
        raise UsageError(f"no known fault in {FOLDER}: run this in a checkout of the project")
    unknown = [name for name in only if name not in known and name != CLEAN]
    if unknown:
        names = ", ".join(sorted(known))
        raise UsageError(f"--only {unknown[0]!r}: choose from {names}, {CLEAN}")
    return [one for one in found if not only or one.fault in only]


def group_by_slots(
    truths: Sequence[Truth], wanted: Calibration
) -> Iterator[tuple[int | None, list[Truth]]]:
    """Yield how many CPU slots a pool has, and the faults that it serves; the widest pool first.

    A fault may limit the slots: one bad slot of twenty would be met by few attempts.
    """
    slots = wanted.slots or os.cpu_count() or 1
    narrow = [] if wanted.device == "cuda" else [t for t in truths if _limit(t) < slots]
    wide = [one for one in truths if one not in narrow]
    if wide or not wanted.only or CLEAN in wanted.only:
        yield wanted.slots, wide
    for limit in sorted({_limit(one) for one in narrow}):
        yield limit, [one for one in narrow if _limit(one) == limit]


def _limit(truth: Truth) -> int:
    return int(truth.options.get("slots", 1 << 20))


def describe_machine(wanted: Calibration) -> dict[str, Any]:
    """Return where and when, for the JSON."""
    return {
        "quick": wanted.quick,
        "device": wanted.device,
        "tp": wanted.tp,
        "per_gpu": wanted.per_gpu,
        "cores": os.cpu_count(),
        "processor": _read_processor(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _read_processor() -> str:
    """Return the processor's name as Linux tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return named[0] if named else platform.processor()


def _run_control(laboratory: Laboratory, course: _Course) -> tuple[int, int]:
    """Return the clean control's failures, and its valid attempts."""
    wanted = course.wanted
    options = RunOptions(
        suites=(spell_suite(str(CONTROL)),), repeats=course.clean_wanted // 2,
        device=wanted.device, slots=wanted.slots, order=("ascending", "descending"),
        tp=(str(wanted.tp),), backend=("torch_native",), timeout_s=60.0,
        per_gpu=wanted.per_gpu,
    )  # fmt: skip
    rows = [row for row in laboratory.run(options, label=CLEAN).rows if row.status in VALID]
    tally, _ = count_failures(rows)
    return tally.failed, tally.valid

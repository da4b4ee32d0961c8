"""The experiments on one failing cell: which are made, and why others are not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.attempt.caches import CACHES_AXIS
from harness.core.amplifiers import AMPLIFY_AXIS, PLAIN
from harness.core.cell import ENV_PREFIX, Cell, parse_value
from harness.core.engine_arguments import ARGUMENTS
from harness.core.errors import HarnessError
from harness.core.plan import PlannedCell
from harness.core.suite import parse_suite, read_declarations, uses_engine
from harness.diagnosis.arms import ARMS, NOT_DONE, Arm, Finding, Tally
from harness.diagnosis.mechanisms import Diagnosis
from harness.driver.options import RunOptions

#: The plan's name for the failing cell itself.
UNCHANGED = "unchanged"

#: Defaults of what a failing cell need not name.
_PRESENT: Mapping[str, str] = {
    CACHES_AXIS: "shared", AMPLIFY_AXIS: PLAIN, "order": "ascending", "tp": "1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FailingCell:
    """What is to be explained."""

    suite: str
    cell: Cell
    kind: str
    options: RunOptions
    device: str


@dataclass(slots=True)
class Trial:
    """An arm that is made: its cell, and what it came to."""

    name: str
    asks: str
    planned: PlannedCell | None
    why_not: str = ""
    runs_alone: bool = False
    tally: Tally = field(default_factory=Tally)
    kinds: dict[str, int] = field(default_factory=dict)
    finding: Finding = Finding.NOT_DONE


@dataclass(frozen=True, slots=True)
class Outcome:
    """All trials, and what follows from them."""

    run_id: str
    failing: FailingCell
    trials: tuple[Trial, ...]
    diagnosis: Diagnosis

    def as_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "schema": "harness.diagnosis/1",
            "run": self.run_id,
            "suite": self.failing.suite,
            "axes": self.failing.cell.as_dict(),
            "kind": self.failing.kind,
            "arms": [
                {
                    "arm": t.name, "failed": t.tally.failed, "attempts": t.tally.valid,
                    "kinds": t.kinds, "finding": t.finding.value, "why_not": t.why_not,
                }
                for t in self.trials
            ],
            "named": self.diagnosis.named,
            "fitting": list(self.diagnosis.fitting),
            "excluded": {name: list(why) for name, why in self.diagnosis.excluded.items()},
        }  # fmt: skip


def plan_trials(failing: FailingCell) -> list[Trial]:
    """Return the unchanged cell, then every arm with its cell or why it is not done."""
    ref = parse_suite(failing.suite)
    unchanged = PlannedCell(failing.suite, failing.cell)
    trials = [Trial(UNCHANGED, "as it failed", unchanged)]
    source = Path(ref.path).read_text(encoding="utf-8", errors="replace")
    args: dict[str, object] = {}
    pinned: tuple[str, ...] = ()
    try:
        for one in read_declarations(ref).classes.values():
            args |= one.engine_args
            pinned += one.pinned
    except HarnessError:
        pass  # a suite without declarations: it has no engine arguments to change
    present = {**_PRESENT, **args, **failing.cell.as_dict()}
    for arm in ARMS:
        trials.append(_plan_trial(arm, failing, present, pinned, source))
    trials += [Trial(name, "", None, why) for name, why in NOT_DONE.items()]
    return trials


def _plan_trial(
    arm: Arm,
    failing: FailingCell,
    present: Mapping[str, object],
    pinned: tuple[str, ...],
    source: str,
) -> Trial:
    now = str(present.get(arm.axis, ""))
    value = arm.choose_value(now)
    why = _explain_absence(arm, failing, present, source)
    if arm.axis in pinned:
        why = f"the suite pins {arm.axis}"
    if not why and now == value:
        why = f"the failing cell has {arm.axis} {value} already"
    if why:
        return Trial(arm.name, arm.asks, None, why)
    axes = {**failing.cell.as_dict(), arm.axis: parse_value(value)}
    cell = Cell(tuple(axes.items()))
    return Trial(arm.name, arm.asks, PlannedCell(failing.suite, cell), runs_alone=arm.runs_alone)


def _explain_absence(
    arm: Arm, failing: FailingCell, present: Mapping[str, object], source: str
) -> str:
    """Return why an arm cannot be done here; empty if it can."""
    engine = uses_engine(failing.suite, Path.cwd())
    if arm.axis in ARGUMENTS and not engine:
        return "no engine of ours here: configuration does not say how its graphs are changed"
    if arm.axis == "spec_topk" and int(str(present.get("spec_topk", 1))) < 2:
        return "drafts are no tree here"
    if arm.axis == "env:CUDA_LAUNCH_BLOCKING" and failing.device != "cuda":
        return "recorded graphs have no launches"
    name = arm.axis.removeprefix(ENV_PREFIX)
    known = name.startswith("CUDA") or name in source or "faults.case" in source
    if arm.axis.startswith(ENV_PREFIX) and not known:
        return f"the suite does not read {name}"
    return ""

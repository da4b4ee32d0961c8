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
from harness.diagnosis.arms import ARMS, NOT_DONE, Arm
from harness.diagnosis.findings import Finding, Tally
from harness.diagnosis.mechanisms import Diagnosis
from harness.driver.options import RunOptions

#: The plan's name for the failing cell itself.
UNCHANGED = "unchanged"

#: The failing cell once more, with nothing beside it: what arms that run alone are compared with.
ALONE = "unchanged, alone"

#: The arm that needs no attempts of its own.
DEVICE = "device"

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
    attempt: str = ""
    """The id of one attempt that failed so."""


@dataclass(slots=True)
class Trial:
    """An arm that is made: its cell, and what it came to."""

    name: str
    asks: str
    planned: PlannedCell | None
    why_not: str = ""
    runs_alone: bool = False
    may_rise: bool = False
    undoes: bool = False
    """Whether it takes back what the failing cell has: an amplifier's finding is then mirrored."""
    tally: Tally = field(default_factory=Tally)
    kinds: dict[str, int] = field(default_factory=dict)
    finding: Finding = Finding.NOT_DONE

    @property
    def key(self) -> str:
        """Its cell's key; empty if it is not made."""
        return self.planned.cell.key if self.planned else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All trials, and what follows from them."""

    run_id: str
    failing: FailingCell
    trials: tuple[Trial, ...]
    diagnosis: Diagnosis
    amplified: str = ""
    """The amplifier that raised the rate, so that all other arms were made with it."""

    @property
    def own_trials(self) -> list[Trial]:
        """The trials that attempts were made for; devices are compared on what others made."""
        return [one for one in self.trials if one.planned and one.name != DEVICE]

    def as_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "schema": "harness.diagnosis/1",
            "run": self.run_id,
            "suite": self.failing.suite,
            "axes": self.failing.cell.as_dict(),
            "kind": self.failing.kind,
            "amplified": self.amplified,
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
    if any(one.runs_alone for one in trials):
        trials.insert(1, Trial(ALONE, "as it failed, with nothing beside it", unchanged))
    trials += [Trial(name, "", None, why) for name, why in NOT_DONE.items()]
    return trials


def _plan_trial(
    arm: Arm,
    failing: FailingCell,
    present: Mapping[str, object],
    pinned: tuple[str, ...],
    source: str,
) -> Trial:
    now, amplifies = str(present.get(arm.axis, "")), arm.axis == AMPLIFY_AXIS
    value = arm.choose_value(now)
    undoes = amplifies and now == value
    value = PLAIN if undoes else value
    why = _explain_absence(arm, failing, present, source)
    if arm.axis in pinned:
        why = f"the suite pins {arm.axis}"
    if not why and now == value:
        why = f"the failing cell has {arm.axis} {value} already"
    if amplifies and now not in (PLAIN, arm.value):
        why = f"the failing cell is amplified already, by {now}"
    if why:
        return Trial(arm.name, arm.asks, None, why)
    axes = {**failing.cell.as_dict(), arm.axis: parse_value(value)}
    planned = PlannedCell(failing.suite, Cell(tuple(axes.items())))
    asks = f"without what amplifies it: {arm.value}" if undoes else arm.asks
    alone = arm.runs_alone and _has_company(failing)
    return Trial(arm.name, asks, planned, "", alone, amplifies, undoes)


def _has_company(failing: FailingCell) -> bool:
    """Whether attempts share what timing depends on.

    A GPU has one attempt at a time unless told otherwise; recorded graphs replay one call after the
    other in one thread.
    """
    if failing.device == "cuda":
        return failing.options.per_gpu > 1
    return not uses_engine(failing.suite, Path.cwd())


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

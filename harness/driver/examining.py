"""Makes the experiments on one failing cell, each until it is judged."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from harness.core.kinds import Kind
from harness.core.plan import Plan
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.diagnosis.findings import Finding, Tally, judge_arm
from harness.diagnosis.mechanisms import name_mechanism
from harness.driver.experiments import Experiment, Laboratory
from harness.driver.queue import QueuedAttempt
from harness.driver.stopping import Ended
from harness.driver.trials import ALONE, DEVICE, UNCHANGED, FailingCell, Outcome, Trial, plan_trials

#: Attempts of the unchanged cell, and of each arm, at most. Beside a cell that fails in a fifth of
#: its attempts, one of 13 arms that never fails is told within 90 in nine of ten diagnoses, and
#: within 36 in one of ten.
MOST = 90

#: After so many attempts without a failure, the unchanged cell is given up.
GIVE_UP = 18

#: So many attempts of an arm are made even if the first one fails, to show more than one failure.
LEAST = 3

#: From this rate on, a higher one cannot be shown.
HIGH = 0.8

#: After so many attempts, an amplifier that raised nothing yet is given up.
FUTILE = 12

#: The oldest attempt in flight may be so many repeats behind the newest that ended.
LEAD = 3

#: An attempt that hangs costs its whole time limit.
SLOW_KINDS = frozenset({Kind.HANG.value, Kind.COLLECTIVE_TIMEOUT.value})


@dataclass(slots=True)
class Bench:
    """The outcomes of one set of trials that are compared with one unchanged cell.

    `first`: the repeat from which on attempts are of this set.
    """

    base: Trial
    arms: list[Trial]
    first: int
    compared: int
    kind: str
    _open: list[Trial] = field(default_factory=list)
    _repeats: dict[int, tuple[str, int]] = field(default_factory=dict)
    _outcomes: dict[str, dict[int, bool | None]] = field(default_factory=dict)
    _made: set[int] = field(default_factory=set)
    _settled: set[str] = field(default_factory=set)

    def turn_to(self, *, amplifiers: bool) -> None:
        """Look at the arms that are amplifiers, or at the others."""
        self._open = [one for one in self.arms if one.may_rise is amplifiers]

    def choose(self, queue: Sequence[QueuedAttempt]) -> list[QueuedAttempt]:
        """Return the attempts of the arms looked at, and of the unchanged cell, not made yet."""
        cells = {one.key for one in (self.base, *self._open)}
        repeats = range(self.first, self.first + MOST)
        chosen = [
            one
            for one in queue
            if one.planned.cell.key in cells
            and one.planned.repeat in repeats
            and one.planned.position not in self._made
        ]
        for one in chosen:
            place = one.planned.cell.key, one.planned.repeat - self.first
            self._repeats[one.planned.position] = place
        return chosen

    def add(self, attempt: Ended) -> None:
        """Take an attempt that ended, and judge its arm again."""
        if attempt.position not in self._repeats:
            return
        self._made.add(attempt.position)
        cell, repeat = self._repeats[attempt.position]
        failed = attempt.status is AttemptStatus.FAILED
        valid = attempt.status in VALID
        self._outcomes.setdefault(cell, {})[repeat] = failed if valid else None
        self._judge(self.arms if cell == self.base.key else [a for a in self.arms if a.key == cell])

    def is_enough(self, cell: str) -> bool:
        """Return whether the arm is settled, or for the unchanged cell, whether all are."""
        base = self._read(self.base)
        if len(base) >= GIVE_UP and not any(base):
            return True
        if cell == self.base.key:
            return all(self._is_settled(one) for one in self._open)
        return any(self._is_settled(one) for one in self.arms if one.key == cell)

    def must_wait(self, in_flight: Collection[Ended]) -> bool:
        """Return whether an attempt lags behind: what ends last is often what hangs."""
        ended = [repeat for one in self._open for repeat in self._outcomes.get(one.key, ())]
        running = [self._repeats[one.position][1] for one in in_flight]
        return bool(ended and running) and max(ended) - min(running) >= LEAD

    def _judge(self, arms: Sequence[Trial]) -> None:
        base = self._read(self.base)
        for arm in arms:
            arm.finding = mirror(arm, judge_arm(base, self._read(arm), self.compared))

    def _read(self, trial: Trial) -> list[bool | None]:
        """Return a trial's outcomes in order, up to the first that has not ended."""
        known = self._outcomes.get(trial.key, {})
        ended: list[bool | None] = []
        while len(ended) in known:
            ended.append(known[len(ended)])
        return ended

    def _is_settled(self, arm: Trial) -> bool:
        """Whether an arm gets no more attempts; what was left out once is never made."""
        if arm.finding in (Finding.PASSES, Finding.LESS, Finding.RISES):
            return True
        if arm.finding is Finding.FAILS and self._has_failed_enough(arm):
            self._settled.add(arm.name)
        return arm.name in self._settled

    def _has_failed_enough(self, arm: Trial) -> bool:
        """An amplifier is to raise the rate: one failure settles nothing unless all fail anyway."""
        base, own = self._read(self.base), self._read(arm)
        if arm.undoes:
            return False
        if arm.may_rise:
            often = len(base) >= 2 * LEAST and sum(map(bool, base)) >= HIGH * len(base)
            return often or (len(own) >= FUTILE and sum(map(bool, own)) <= sum(map(bool, base)))
        return len(own) >= (1 if self.kind in SLOW_KINDS else LEAST)


#: What an arm that takes an amplifier away says of the amplifier.
_MIRRORED = {
    Finding.PASSES: Finding.RISES,
    Finding.LESS: Finding.RISES,
    Finding.RISES: Finding.LESS,
}


def mirror(arm: Trial, found: Finding) -> Finding:
    """Return what the arm's name stands for, if the arm undoes it."""
    return _MIRRORED.get(found, found) if arm.undoes else found


def examine(
    failing: FailingCell,
    laboratory: Laboratory,
    label: str = "diagnosis",
    raised: Trial | None = None,
) -> Outcome:
    """Make the unchanged cell and every arm that can be made, until each is judged.

    Amplifiers come first: if one raises the rate, all other arms are made with it, since what
    seldom fails takes many attempts to be shown to pass. `raised`: what showed that already.
    """
    trials = plan_trials(failing)
    if raised is not None:
        trials = [one for one in trials if one.name != raised.name]
    benches = _set_up(trials, failing)
    cells = tuple(dict.fromkeys(one.planned for one in trials if one.planned))
    plan = Plan(cells, MOST * len(benches), failing.options.seed or 0, False, False)
    options = replace(failing.options, suites=(failing.suite,), repeats=plan.repeats)
    with laboratory.begin(options, plan, label) as experiment:
        _work_off(experiment, benches, amplifiers=True)
        rises = find_raising(trials)
        if rises is None:
            _work_off(experiment, benches, amplifiers=False)
        measured = experiment.measure()
    _count(measured.rows, benches)
    if rises is not None and rises.planned is not None:
        again = replace(failing, cell=rises.planned.cell)
        return examine(again, laboratory, f"{label}, amplified", rises)
    trials.append(_compare_devices(measured.rows, trials[0]))
    trials += [raised] if raised is not None else []
    findings = {one.name: one.finding for one in trials if one.name not in (UNCHANGED, ALONE)}
    told = name_mechanism(findings, failing.kind)
    amplified = raised.name if raised is not None else ""
    return Outcome(measured.run_id, failing, tuple(trials), told, amplified)


def find_raising(trials: Sequence[Trial]) -> Trial | None:
    """Return the amplifier that raises the rate of the failing cell; None if none does."""
    raising = [one for one in trials if one.may_rise and one.finding is Finding.RISES]
    return next((one for one in raising if not one.undoes), None)


def _set_up(trials: Sequence[Trial], failing: FailingCell) -> list[Bench]:
    """Return what runs side by side, then what runs alone, with an unchanged cell of its own."""
    bases = {one.name: one for one in trials if one.name in (UNCHANGED, ALONE) and one.planned}
    arms = [one for one in trials if one.planned and one.name not in bases]
    together = [one for one in arms if not one.runs_alone]
    benches = [Bench(bases[UNCHANGED], together, 0, len(arms), failing.kind)]
    if ALONE in bases:
        alone = [one for one in arms if one.runs_alone]
        benches.append(Bench(bases[ALONE], alone, MOST, len(arms), failing.kind))
    return benches


def _work_off(experiment: Experiment, benches: Sequence[Bench], *, amplifiers: bool) -> None:
    """Make the attempts of the amplifiers' arms, or of all others that are not settled."""
    together, *alone = benches
    together.turn_to(amplifiers=amplifiers)
    experiment.work_off(together.choose(experiment.queue), together)
    for bench in alone:
        bench.turn_to(amplifiers=amplifiers)
        for queued in bench.choose(experiment.queue):
            if not bench.is_enough(queued.planned.cell.key):
                experiment.work_off([queued], bench)


def _count(rows: Sequence[AttemptRow], benches: Sequence[Bench]) -> None:
    """Give each trial its counts, and its kinds of failures."""
    for bench in benches:
        repeats = range(bench.first, bench.first + MOST)
        for trial in (bench.base, *bench.arms):
            own = [row for row in rows if row.cell == trial.key and row.repeat in repeats]
            trial.tally, trial.kinds = count_failures(own)


def count_failures(rows: Sequence[AttemptRow]) -> tuple[Tally, dict[str, int]]:
    """Return failed and valid attempts, and how often each kind was seen."""
    kinds = [str(row.kind) for row in rows if row.status is AttemptStatus.FAILED]
    valid = sum(row.status in VALID for row in rows)
    return Tally(len(kinds), valid), {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _compare_devices(rows: Sequence[AttemptRow], base: Trial) -> Trial:
    """Return the arm that needs no attempts of its own: the worst device beside the others.

    All arms' attempts count, as a device is one whatever else was changed.
    """
    valid = [row for row in rows if row.status in VALID]
    devices = sorted({device for row in valid for device in row.devices})
    trial = Trial(DEVICE, "on the other devices", base.planned)
    if len(devices) < 2 or any(len(row.devices) > 1 for row in valid):
        trial.planned, trial.why_not = None, "attempts of one device each, on two, are needed"
        return trial
    of_device = {one: [row for row in valid if one in row.devices] for one in devices}
    worst = max(devices, key=lambda device: _compute_rate(of_device[device]))
    others = [row for row in valid if worst not in row.devices]
    trial.tally, trial.kinds = count_failures(others)
    trial.finding = _judge_devices(of_device[worst], others, len(devices))
    return trial


def _judge_devices(
    worst: Sequence[AttemptRow], others: Sequence[AttemptRow], count: int
) -> Finding:
    """A fault of the code fails on every device at times: only never counts as passing.

    Looked at once, when all has ended, and corrected for the choice of the worst of `count`.
    """
    ours, theirs = (
        [row.status is AttemptStatus.FAILED for row in rows] for rows in (worst, others)
    )
    found = judge_arm(ours, theirs, count)
    return Finding.FAILS if found is not Finding.PASSES and any(theirs) else found


def _compute_rate(rows: Sequence[AttemptRow]) -> float:
    tally, _ = count_failures(rows)
    return tally.failed / max(tally.valid, 1)


def shorten_timeout(timeout_s: float, rows: Collection[AttemptRow], kind: str) -> float:
    """Return a time limit in seconds that passing attempts keep by far, if failures wait for it."""
    passed = [row.wall_seconds for row in rows if row.status is AttemptStatus.PASSED]
    if kind not in SLOW_KINDS or not passed:
        return timeout_s
    return min(timeout_s, max(SHORTEST_S, 4 * max(passed)))


#: No time limit of experiments is shorter, in seconds: the first attempt of a zygote is slow.
SHORTEST_S = 4.0

"""How a diagnosis is printed: what was changed, what followed, and what is not known."""

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table

from harness.diagnosis.findings import Finding, Tally
from harness.diagnosis.mechanisms import AUDIT, BY_NAME, NEXT
from harness.driver.examining import MOST
from harness.driver.trials import ALONE, UNCHANGED, FailingCell, Outcome, Trial, plan_trials
from harness.stats.intervals import compute_clopper_pearson, compute_upper_bound

#: Below this rate of the unchanged cell, many arms stay undecided.
LOW = 0.4


def print_start(console: Console, failing: FailingCell) -> None:
    """Say which cell is taken, how many attempts that may be, and which time limit they have."""
    made = sum(one.planned is not None for one in plan_trials(failing))
    _print(console, f"diagnosing {failing.suite} · {failing.cell.label} · {failing.kind}")
    _print(
        console,
        f"{made - 1} experiments beside the unchanged cell, {MOST} attempts of each at most, "
        f"{failing.options.timeout_s:g} s each at most",
    )


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print the arms, then what they say."""
    failing = outcome.failing
    _print(console, f"{failing.suite} · {failing.cell.label} · {failing.kind}")
    if outcome.amplified:
        _print(console, _explain_amplified(outcome))
    console.print(_make_table(outcome))
    for line in list_conclusions(outcome):
        _print(console, line)


def _explain_amplified(outcome: Outcome) -> str:
    raised = next(one for one in outcome.trials if one.name == outcome.amplified)
    return (
        f"{outcome.amplified} raises the failure rate (to {raised.tally.failed} of "
        f"{raised.tally.valid}), so every other experiment was made with it; these rates are not "
        "the suite's own"
    )


def _make_table(outcome: Outcome) -> Table:
    kinds = {kind for one in outcome.trials for kind in one.kinds}
    table = Table("experiment", box=None)
    table.add_column("failed", justify="right")
    table.add_column("rate [95 %]", justify="right")
    for name in ["finding", *["kinds"] * (len(kinds) > 1)]:
        table.add_column(name)
    for one in outcome.trials:
        if one.planned is not None:
            cells = [_name(one), *_describe_rate(one.tally), _say_finding(one)]
            table.add_row(*cells, *[_list(one.kinds)] * (len(kinds) > 1))
    return table


def _name(trial: Trial) -> str:
    return f"{trial.name}: {trial.asks}" if trial.asks else trial.name


def list_conclusions(outcome: Outcome) -> Iterator[str]:
    """Yield what follows: what fits and why, what is excluded, what is not known, what to do."""
    base = outcome.trials[0].tally
    if not base.failed:
        yield from _explain_silence(outcome, base)
        return
    yield from _explain_other_kinds(outcome)
    yield from _explain_fitting(outcome)
    yield from _explain_excluded(outcome)
    yield from _explain_unknown(outcome)
    yield from _tell_next(outcome)


def _explain_silence(outcome: Outcome, base: Tally) -> Iterator[str]:
    yield "The unchanged cell did not fail again, so nothing can be said of its cause."
    if base.valid:
        high = compute_upper_bound(0, base.valid).high
        bound = f"{100 * high:.0f} %"
        yield f"{base.valid} attempts without a failure bound its rate below {bound} (95 %)."
    yield f"next: harness run {outcome.failing.suite} --repeats 100 --amplify poison"


def _explain_other_kinds(outcome: Outcome) -> Iterator[str]:
    """Attempts count as failed or not, whatever their kind: say so if kinds differ."""
    own, others = outcome.failing.kind, Counter[str]()
    for trial in outcome.own_trials:
        others.update({kind: n for kind, n in trial.kinds.items() if kind != own})
    if others:
        yield (
            f"{sum(others.values())} failures are not {own} but {_list(others)}: "
            "one fault may show several faces, or something else broke meanwhile"
        )


def _explain_fitting(outcome: Outcome) -> Iterator[str]:
    told = outcome.diagnosis
    for name in told.fitting:
        yield f"fits: {name}: {BY_NAME[name].says}"
    if told.fitting:
        helps = [one.asks for one in outcome.trials if one.finding is Finding.PASSES]
        if helps:
            yield f"  It does not fail {'; '.join(helps)}."
        yield "  A class is a lead, and no proof: it says what fits these experiments."
        return
    yield "No class of the table fits all findings."
    near = [name for name, why in told.excluded.items() if not why[0].startswith("kind ")]
    if near:
        nearest = min(near, key=lambda name: len(told.excluded[name]))
        yield f"  nearest: {nearest}: {BY_NAME[nearest].says}"
        yield f"  but: {_spell(outcome, told.excluded[nearest])}"


def _explain_excluded(outcome: Outcome) -> Iterator[str]:
    for name, why in outcome.diagnosis.excluded.items():
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        yield f"excluded: {name}: {_spell(outcome, why[:1])}{more}"


def _spell(outcome: Outcome, why: tuple[str, ...]) -> str:
    """Return what speaks against a class, its experiments in words."""
    asks = {one.name: one.asks for one in outcome.trials if one.asks}
    words = []
    for reason in why:
        if reason.startswith("kind "):
            words.append(f"it does not show as {reason.removeprefix('kind ')}")
            continue
        arm = max((name for name in asks if reason.startswith(f"{name} ")), key=len, default="")
        verb = reason.removeprefix(arm).strip()
        spelled = {
            "fails": "it fails",
            "passes": "it passes",
            "does not pass": "it is not shown to pass",
            "never failed": "it did not fail even once",
        }
        words.append(f"{spelled[verb]} {asks[arm]}" if arm and verb in spelled else reason)
    return "; ".join(words)


def _explain_unknown(outcome: Outcome) -> Iterator[str]:
    open_ = [one.name for one in outcome.trials if one.finding is Finding.UNDECIDED]
    if open_:
        yield f"could not tell within {MOST} attempts: {', '.join(open_)}"
    for one in outcome.trials:
        if one.planned is None:
            yield f"not done: {one.name}: {one.why_not}"


def _tell_next(outcome: Outcome) -> Iterator[str]:
    base, suite = outcome.trials[0].tally, outcome.failing.suite
    named = outcome.diagnosis.named
    if base.failed < LOW * base.valid and not named:
        yield f"The cell fails seldom ({base.failed} of {base.valid}): amplify it first."
        yield f"next: harness run {suite} --amplify canary --repeats 50; harness diagnose latest"
        return
    attempt = outcome.failing.attempt or "ATTEMPT"
    yield f"next: {NEXT.get(named, AUDIT).format(suite=suite, attempt=attempt)}"
    if outcome.failing.device == "cuda" and named not in NEXT:
        yield f"next: harness rerun {attempt} --memcheck (out-of-bounds accesses, 20 times slower)"


def _describe_rate(tally: Tally) -> tuple[str, str]:
    if not tally.valid:
        return "0/0", "-"
    found = compute_clopper_pearson(tally.failed, tally.valid)
    rate = tally.failed / tally.valid
    percents = [f"{100 * share:.0f} %" for share in (rate, found.low, found.high)]
    return f"{tally.failed}/{tally.valid}", f"{percents[0]} [{percents[1]}, {percents[2]}]"


def _say_finding(trial: Trial) -> str:
    return "" if trial.name in (UNCHANGED, ALONE) else trial.finding.value


def _list(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in kinds.items())


def _print(console: Console, line: str) -> None:
    """Print a line whole: it wraps at the terminal's edge, and stays one line in a log."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)

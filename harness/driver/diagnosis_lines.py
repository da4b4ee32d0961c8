"""How a diagnosis is printed."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from harness.diagnosis.findings import Finding, Tally
from harness.diagnosis.mechanisms import BY_NAME
from harness.driver.trials import ALONE, UNCHANGED, Outcome, Trial
from harness.stats.intervals import compute_clopper_pearson


def print_outcome(console: Console, outcome: Outcome) -> None:
    failing, base = outcome.failing, outcome.trials[0]
    console.print(f"{failing.suite} · {failing.cell.label} · {failing.kind}", highlight=False)
    table = Table("arm", "failed", "rate [95 %]", "finding", "kinds", box=None)
    for one in outcome.trials:
        if one.planned is not None:
            table.add_row(one.name, *_describe_rate(one.tally), _say_finding(one), _list(one.kinds))
    console.print(table)
    for one in outcome.trials:
        if one.planned is None:
            console.print(f"not done: {one.name}: {one.why_not}", soft_wrap=True, highlight=False)
    if not base.tally.failed:
        console.print("the unchanged cell did not fail again, so nothing can be said")
    else:
        _print_classes(console, outcome)


def _print_classes(console: Console, outcome: Outcome) -> None:
    told = outcome.diagnosis
    for name in told.fitting:
        console.print(f"fits: {name}: {BY_NAME[name].says}", highlight=False)
    if not told.fitting:
        console.print("no class of the table fits all findings")
    for name, why in told.excluded.items():
        console.print(f"excluded: {name}: {'; '.join(why)}", soft_wrap=True, highlight=False)
    undecided = [one.name for one in outcome.trials if one.finding is Finding.UNDECIDED]
    if undecided:
        console.print(f"could not tell: {', '.join(undecided)}", highlight=False)
    suite = outcome.failing.suite
    console.print(f"next: harness run {suite} --audit --repeats 3", highlight=False)


def _describe_rate(tally: Tally) -> tuple[str, str]:
    if not tally.valid:
        return "0/0", "-"
    found = compute_clopper_pearson(tally.failed, tally.valid)
    rate = tally.failed / tally.valid
    return f"{tally.failed}/{tally.valid}", f"{rate:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _say_finding(trial: Trial) -> str:
    return "" if trial.name in (UNCHANGED, ALONE) else trial.finding.value


def _list(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in kinds.items())

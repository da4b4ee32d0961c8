"""How a diagnosis is printed."""

from rich.console import Console

from harness.analysis.wording import format_kinds, format_rate
from harness.diagnosis.findings import Finding, Tally
from harness.diagnosis.mechanisms import BY_NAME
from harness.driver.trials import ALONE, UNCHANGED, Outcome, Trial
from harness.report.listing import print_listing
from harness.report.views import Shape
from harness.stats.intervals import compute_clopper_pearson

_COLUMNS = {
    "arm": Shape.LABEL,
    "failed": Shape.NUMBER,
    "rate [95 %]": Shape.NUMBER,
    "finding": Shape.LABEL,
    "kinds": Shape.LIST,
}


def print_outcome(console: Console, outcome: Outcome) -> None:
    failing, base = outcome.failing, outcome.trials[0]
    console.print(f"{failing.suite} · {failing.cell.label} · {failing.kind}", highlight=False)
    rows = [
        (one.name, *_describe_rate(one.tally), _say_finding(one), format_kinds(one.kinds))
        for one in outcome.trials
        if one.planned is not None
    ]
    print_listing(console, _COLUMNS, rows)
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
    rate = format_rate(tally.failed, tally.valid, (found.low, found.high))
    return f"{tally.failed}/{tally.valid}", rate


def _say_finding(trial: Trial) -> str:
    return "" if trial.name in (UNCHANGED, ALONE) else trial.finding.value

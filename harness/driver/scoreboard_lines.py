"""How a calibration is printed."""

from rich.console import Console
from rich.table import Table

from harness.diagnosis.scoreboard import Score, Scoreboard, count_right, list_columns
from harness.driver.calibrating import Calibration

#: Minutes of a fault on two idle cores, quick and whole, for a first idea of the time.
QUICK_MINUTES, FULL_MINUTES = 0.15, 1.2


def print_start(console: Console, wanted: Calibration, faults: int, clean: int) -> None:
    """Say what is to be done, and roughly how long that takes."""
    minutes = faults * (QUICK_MINUTES if wanted.quick else FULL_MINUTES) + clean / 120
    _print(
        console,
        f"{faults} known faults and {clean} clean attempts: "
        f"about {max(round(minutes), 1)} min on two idle cores",
    )


def print_clean(console: Console, alarms: int, attempts: int) -> None:
    """Say what the clean control did."""
    _print(console, f"clean control: {alarms} false alarms in {attempts} attempts")


def print_score(console: Console, score: Score, spent_s: float, left: int) -> None:
    """Say what was found of one fault, and how much is left."""
    rest = f"; {left} left, {spent_s / 60:.1f} min so far" if left else ""
    found = ", ".join(_list_findings(score))
    _print(console, f"{score.truth.fault}: {found}, {score.seconds:.0f} s{rest}")


def _list_findings(score: Score) -> list[str]:
    if score.not_shown:
        return [f"not shown: {score.not_shown}"]
    kinds = ", ".join(f"{kind} {n}" for kind, n in score.kinds.items()) or "no failure"
    found = [kinds, f"{score.attempts} attempts"]
    if score.amplified:
        found.append(f"amplified by {score.amplified}")
    if score.error:
        found.append(f"ended early: {score.error}")
    return found


def print_board(console: Console, board: Scoreboard) -> None:
    """Print the table and its totals."""
    table = Table("fault", "detected", "kind", "follows", "class", "attempts", "s", box=None)
    for one in board.shown:
        table.add_row(
            one.truth.fault,
            _tell_detection(one),
            _show(one.is_kind_right, ", ".join(one.kinds)),
            _show(one.is_factor_right, ", ".join(one.factors or ()) or "nothing"),
            _show(one.is_mechanism_right, one.mechanism or "none"),
            str(one.attempts),
            f"{one.seconds:.0f}",
        )
    if board.shown:
        console.print(table)
        columns = list_columns(board).items()
        _print(console, ", ".join(f"{name} {count_right(found)}" for name, found in columns))
    for one in board.scores:
        if one.not_shown or one.error:
            _print(console, f"{one.truth.fault}: {_list_findings(one)[-1]}")
    if board.clean_wanted:
        clean = f"{board.false_alarms}/{board.clean_attempts}"
        _print(console, f"false alarms on the clean control: {clean}")


def _tell_detection(score: Score) -> str:
    if not score.is_detected:
        return "no"
    amplified = f", {score.amplified}" if score.amplified else ""
    return f"after {score.first_failure}{amplified}"


def _show(right: bool | None, text: str) -> str:
    if right is None:
        return "-"
    return text if right else f"{text} (wrong)"


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)

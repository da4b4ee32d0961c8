"""Write a scoreboard of `harness calibrate --json` as the table of a documents page.

python tools/scoreboard_page.py scoreboard.json >> docs/reference/scoreboard.md
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def list_lines(board: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one scoreboard: machine and date, the table, totals."""
    length = (
        f"{board['seconds'] / 60:.0f} min"
        if board["seconds"] > 100
        else f"{board['seconds']:.0f} s"
    )
    yield (
        f"{board['cores']} cores of {board['processor']}, {board.get('devices', '?')} slots used, "
        f"{board['began'][:10]}, {length}."
    )
    yield ""
    yield "| fault | detected after | kind | follows | class | attempts | s |"
    yield "|---|---|---|---|---|---|---|"
    for one in board["faults"]:
        yield _make_row(one)
    totals = ", ".join(f"{name} {found}" for name, found in board["totals"].items() if found != "-")
    clean = board["clean"]
    yield ""
    yield f"{totals}; {clean['false_alarms']} false alarms in {clean['attempts']} clean attempts."


def _make_row(fault: Mapping[str, Any]) -> str:
    found = fault["found"]
    if found["not_shown"]:
        return f"| {fault['fault']} | not shown: {found['not_shown']} | | | | | |"
    after = str(found["first_failure"]) if fault["detected"] else "never"
    if found["amplified"]:
        after += f", amplified by {found['amplified']}"
    cells = [
        after,
        _mark(fault["kind_right"], ", ".join(found["kinds"]) or "none"),
        _mark(fault["factor_right"], ", ".join(found["factors"] or ()) or "nothing"),
        _mark(fault["mechanism_right"], found["mechanism"] or "none"),
        str(found["attempts"]),
        f"{found['seconds']:.0f}",
    ]
    return f"| {fault['fault']} | {' | '.join(cells)} |"


def _mark(right: bool | None, text: str) -> str:
    if right is None:
        return "-"
    return text if right else f"**{text}** (wrong)"


def main() -> None:
    """Print the tables of all files that are named."""
    for name in sys.argv[1:]:
        board = json.loads(Path(name).read_text(encoding="utf-8"))
        for line in list_lines(board):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()

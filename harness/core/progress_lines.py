"""What engines print while they capture: a second source for the order, if nothing else saw it."""

import re
from dataclasses import dataclass

#: Each engine's own words, and the number that a graph is captured for, if they hold one.
_PATTERNS = {
    # sglang 0.5: a bar of tqdm per runner, rewritten for each size.
    "batches": re.compile(r"Capturing batches \(bs=(\d+) "),
    "num tokens": re.compile(r"Capturing num tokens \(num_tokens=(\d+) "),
    # vLLM: the bar names the mode, and no size.
    "cudagraphs": re.compile(r"Capturing CUDA graphs? ?(?:shapes)?[(:]()"),
}


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """One step that an engine printed. `bs` is 0 if it did not say for which size."""

    role: str
    bs: int


def find_progress(text: str) -> list[ProgressLine]:
    """Return the captures that a log speaks of, in order; a bar that is drawn again counts once."""
    found = sorted(
        (match.start(), role, int(match[1] or 0))
        for role, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
    )
    steps: list[ProgressLine] = []
    for _, role, size in found:
        step = ProgressLine(role, size)
        if steps[-1:] != [step]:
            steps.append(step)
    return steps

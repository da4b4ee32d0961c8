"""The stacks that faulthandler prints, read from a log. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.core.kinds import Frame

#: pytest's line of progress may stand before it: it has no end while a test runs.
_HEAD = re.compile(
    r"^(?:.{1,400} )??(Current thread|Thread) (0x[0-9a-fA-F]+)(?: \[[^\]]*\])? "
    r"\(most recent call first\):"
)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')
_SPY_FRAME = re.compile(r"^    (.+) \((.+):(\d+)\)$")
_LIBRARY = re.compile(
    r"site-packages/|dist-packages/|/lib/python3|/harness/rank/|^<frozen |/_pytest/|/pluggy/|"
    r"/pytest_(?:rerunfailures|timeout|asyncio)\.py$"
)
_RUNNER = re.compile(
    r"^ {4}.*\(.*/(?:_pytest|pluggy|pytest|harness/rank)/.*:\d+\)$|^ {4}.*<frozen "
)
#: So many calls of one function on one stack are a recursion that found no end.
_RECURSION = 20
_MOST_FRAMES = 120
_MOST_THREADS = 64
_MOST_PLACES = 4


@dataclass(frozen=True, slots=True)
class Stack:
    """One thread's calls, the innermost first. `current`: the thread that got the signal."""

    current: bool
    frames: tuple[Frame, ...]

    @property
    def own(self) -> Frame | None:
        """The innermost call of no library, else the innermost one."""
        own = (frame for frame in self.frames if not _LIBRARY.search(frame.file))
        return next(own, self.frames[0] if self.frames else None)

    @property
    def telling(self) -> tuple[Frame, ...]:
        """The calls without those below the outermost of no library: the test runner's own."""
        own = [n for n, frame in enumerate(self.frames) if not _LIBRARY.search(frame.file)]
        return self.frames[: own[-1] + 1] if own else self.frames

    @property
    def recursive(self) -> str | None:
        """The function that fills the stack, if one does."""
        counted = Counter(frame.function for frame in self.frames).most_common(1)
        return counted[0][0] if counted and counted[0][1] >= _RECURSION else None


class StackReader:
    """Takes the lines of a log one by one."""

    def __init__(self) -> None:
        self._stacks: list[tuple[bool, list[Frame]]] = []
        self._inside = False

    def take(self, line: str) -> bool:
        """Read one line. Return whether it belongs to a stack."""
        if head := _HEAD.match(line):
            self._inside = len(self._stacks) < _MOST_THREADS
            if self._inside:
                self._stacks.append((head[1] == "Current thread", []))
            return True
        frame = _FRAME.match(line) if self._inside else None
        if frame is None:
            self._inside = False
            return False
        frames = self._stacks[-1][1]
        if len(frames) < _MOST_FRAMES:
            frames.append(Frame(frame[1], int(frame[2]), frame[3]))
        return True

    @property
    def inside(self) -> bool:
        """Whether the next line may belong to a stack."""
        return self._inside

    def list_stacks(self) -> tuple[Stack, ...]:
        """Return the stacks in the order in which they were printed."""
        return tuple(Stack(current, tuple(frames)) for current, frames in self._stacks)


def read_py_spy(text: str) -> Stack | None:
    """Return the main thread's stack from what `py-spy dump` prints; None if there is none."""
    frames: list[Frame] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("Thread "):
            if frames:
                break
            inside = line.rstrip().endswith('"MainThread"')
        elif inside and (frame := _SPY_FRAME.match(line)) and len(frames) < _MOST_FRAMES:
            # Without its class, as faulthandler writes it: signatures must not differ by tool.
            frames.append(Frame(frame[2], int(frame[3]), frame[1].rpartition(".")[2]))
    return Stack(True, tuple(frames)) if frames else None


def leave_out_runner(lines: Sequence[str]) -> list[str]:
    """Return the lines of stacks without the calls of pytest and of the rank itself."""
    kept: list[str] = []
    left = 0
    for line in [*lines, ""]:
        if _RUNNER.search(line):
            left += 1
            continue
        if left:
            kept.append(f"    ({left} calls of the test runner)")
        left = 0
        kept.append(line)
    return kept[:-1]


def describe_threads(stacks: Sequence[Stack]) -> list[str]:
    """Return where threads beside the current one stand in code of no library, alike ones once.

    Two that wait for each other, or for a lock that the first one holds, explain a hang.
    """
    others = [stack for stack in stacks if not stack.current and stack.own is not None]
    own = [one for one in others if one.own and not _LIBRARY.search(one.own.file)]
    counted = Counter(_describe_place(stack) for stack in own[:_MOST_THREADS])
    return [
        f"{n} other {'thread' if n == 1 else 'threads'} {place}"
        for place, n in counted.most_common(_MOST_PLACES)
    ]


def describe_ranks(stacks: Mapping[int, Stack | None]) -> list[str]:
    """Return where each rank of a hang stands, and which one is not where the others wait."""
    places = {rank: _describe_place(stack) for rank, stack in sorted(stacks.items())}
    if len(places) < 2:
        return []
    lines = [f"rank {rank}: {place}" for rank, place in places.items()]
    common, n = Counter(places.values()).most_common(1)[0]
    odd = [rank for rank, place in places.items() if place != common]
    if len(odd) < n and odd:
        names = ", ".join(f"rank {rank}" for rank in odd)
        lines.insert(0, f"{names} {'is' if len(odd) == 1 else 'are'} not where the others wait")
    return lines


def _describe_place(stack: Stack | None) -> str:
    if stack is None or stack.own is None:
        return "no stack, it did not answer"
    return f"in {stack.own.function} ({stack.own.file.rpartition('/')[2]}:{stack.own.line})"


def find_current(stacks: tuple[Stack, ...]) -> Stack | None:
    """Return the stack that says most of an end: the last one that got a signal, else the last."""
    current = [stack for stack in stacks if stack.current and stack.frames]
    others = [stack for stack in stacks if stack.frames]
    found = current or others
    return found[-1] if found else None

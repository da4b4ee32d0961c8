"""Reports who reads a result of a recorded graph after another graph's replay wrote over it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .findings import Fault, Finding
from .model import Ownership
from .recorded_model import Audited
from .results import ReadWatch, Result
from .stacks import take_stack

if TYPE_CHECKING:
    from ..events import Capture


class LateReads:
    """Follows which results are spoiled, and watches operators while somebody holds one."""

    def __init__(self, report: Callable[[Finding], None]) -> None:
        self._report = report
        self._watch = ReadWatch(self._on_read)
        self._spoiled: list[tuple[Audited, Result]] = []
        self._told: set[tuple[str, str, str]] = set()

    def end(self) -> None:
        """Called before each capture and replay: what graphs read is not looked at."""
        self._watch.end()

    def note_replay(self, capture: "Capture", mine: Audited, every: Sequence[Audited]) -> None:
        """Called after each replay: note what it has answered, and what it has written over."""
        for other in every:
            for result in other.results:
                if other is mine:
                    result.spoiled_by = None
                elif capture.replays and mine.accesses.written.meets(result.span):
                    result.spoiled_by = mine.name
        results = [(other, result) for other in every for result in other.results]
        self._spoiled = [one for one in results if one[1].spoiled_by and one[1].has_holders()]
        if self._spoiled:
            self._watch.begin()

    def _on_read(self, operator: str, address: int) -> None:
        for owner, result in self._spoiled:
            if not result.span.start <= address < result.span.end or result.spoiled_by is None:
                continue
            key = (owner.name, result.name, operator)
            if key not in self._told:
                self._told.add(key)
                self._report(_make_finding(owner, result, operator, address))


def _make_finding(owner: Audited, result: Result, operator: str, address: int) -> Finding:
    return Finding(
        fault=Fault.SPOILED,
        ownership=Ownership.POOL,
        graph=owner.name,
        kernel=operator,
        parameter=result.name,
        node=0,
        address=address,
        bytes=result.span.end - result.span.start,
        pool=owner.pool,
        owner=take_stack(),
        writers=(str(result.spoiled_by),),
    )

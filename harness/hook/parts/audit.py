"""Audits each captured graph before it is replayed: `hook_audit` lines, one for each fault found.

CUDA graphs: `audit/cuda_graphs.py`. This project's recorded graphs: `audit/recorded_graphs.py`.
"""

import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..audit import allocator
from ..audit.cuda_graphs import CudaAudit
from ..audit.driver_api import DriverError
from ..audit.findings import Finding
from ..audit.recorded_graphs import RecordedAudit

if TYPE_CHECKING:
    from ..channel import Channel
    from ..events import Capture

#: A process writes no more findings: one broken engine would repeat the same for ever.
MOST_FINDINGS = 50


class Audit:
    """The audit of one process: hands each graph to the audit of its kind, and takes the time."""

    def __init__(self, channel: "Channel") -> None:
        self._channel = channel
        self._found = 0
        self._audits: dict[str, Any] = {"recorded": RecordedAudit(self._report)}

    def on_import(self, module: ModuleType) -> None:
        """Let CUDA's allocator note who allocates and frees, before the first tensor is made."""
        if module.__name__ == "torch.cuda":
            allocator.start_history()

    def change_graph_arguments(self, keys: dict[str, Any]) -> None:
        """Keep what was captured: torch would destroy it once it can be launched."""
        keys["keep_graph"] = True

    def on_memory(self, memory: Any) -> None:
        """Let recorded graphs' memory note who allocates, before the first static input is made."""
        self._audits["recorded"].note_memory(memory)

    def before_capture(self, capture: "Capture") -> None:
        """Called just before capture begins."""
        if capture.kind not in self._audits:
            self._audits[capture.kind] = self._make_cuda_audit()
        if audit := self._audits[capture.kind]:
            audit.before_capture(capture)

    def after_capture(self, capture: "Capture") -> None:
        """Called when the graph exists: find out what it points to."""
        audit = self._audits.get(capture.kind)
        if audit is None:
            return
        began, others = time.perf_counter(), audit.spent_for_torch
        words = audit.after_capture(capture)
        if capture.error is not None:
            return
        others = audit.spent_for_torch - others
        seconds = round(time.perf_counter() - began - others, 6)
        self._channel.emit(
            "audited",
            position=capture.number,
            words=words,
            not_judged=audit.not_judged,
            seconds=seconds,
        )

    def before_replay(self, capture: "Capture") -> None:
        """Called before each launch: findings are on their way to the disk when this returns."""
        if audit := self._audits.get(capture.kind):
            audit.before_replay(capture)

    def after_replay(self, capture: "Capture") -> None:
        """Called after each launch."""
        if audit := self._audits.get(capture.kind):
            audit.after_replay(capture)

    def _make_cuda_audit(self) -> CudaAudit | None:
        try:
            return CudaAudit(self._report, self._note)
        except DriverError as error:
            self._note(f"CUDA graphs are not audited: {error}")
            return None

    def _report(self, finding: Finding) -> None:
        self._found += 1
        if self._found <= MOST_FINDINGS:
            self._channel.emit("audit", **finding.describe())

    def _note(self, text: str) -> None:
        self._channel.emit("note", text=f"audit: {text}")


def make_part(argument: str, channel: "Channel") -> Audit:
    """Return the part. It takes no argument."""
    if argument:
        raise ValueError(f"audit takes no argument: {argument!r}")
    return Audit(channel)

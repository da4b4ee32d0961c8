"""Audits each captured graph before it is replayed: `hook_audit` lines, one for each fault found.

CUDA graphs: `audit/cuda_graphs.py`. This project's recorded graphs: `audit/recorded_graphs.py`.
"""

import time
from typing import TYPE_CHECKING

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
        self._spent = 0.0
        self._recorded = RecordedAudit(self._report)

    def before_capture(self, capture: "Capture") -> None:
        """Called just before capture begins."""
        self._call("before_capture", capture)

    def after_capture(self, capture: "Capture") -> None:
        """Called when the graph exists: find out what it points to."""
        self._call("after_capture", capture)
        if capture.error is None:
            self._channel.emit("audited", position=capture.number, seconds=round(self._spent, 6))

    def before_replay(self, capture: "Capture") -> None:
        """Called before each launch: findings are on their way to the disk when this returns."""
        self._call("before_replay", capture)

    def after_replay(self, capture: "Capture") -> None:
        """Called after each launch."""
        self._call("after_replay", capture)

    def _call(self, method: str, capture: "Capture") -> None:
        began = time.perf_counter()
        getattr(self._recorded, method)(capture)
        self._spent += time.perf_counter() - began

    def _report(self, finding: Finding) -> None:
        self._found += 1
        if self._found <= MOST_FINDINGS:
            self._channel.emit("audit", **finding.describe())


def make_part(argument: str, channel: "Channel") -> Audit:
    """Return the part. It takes no argument."""
    if argument:
        raise ValueError(f"audit takes no argument: {argument!r}")
    return Audit(channel)

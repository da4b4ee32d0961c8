"""What the graph audit found in an attempt: pointers of graphs that a replay must not follow.

`harness/hook/audit/` writes these events in the processes of an attempt. Nothing in them is
believed: a test can write such a line, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.core import events as wire
from harness.core.events import Event

#: Findings of one attempt that are kept.
MOST_FINDINGS = 50
_MOST_TEXT = 300


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One pointer. `fault` and `ownership` are the words of `harness/hook/audit/`.

    `node`: the node's place in its graph, from 0. `bytes`: size of the block. Stacks: innermost
    frame first. `writers`: graphs and kernels that write there by now.
    """

    fault: str
    ownership: str
    graph: str
    kernel: str
    parameter: str
    node: int = 0
    bytes: int = 0
    what: str = ""
    pool: str = ""
    allocated: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    writers: tuple[str, ...] = ()
    rank: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What is the same in another attempt with the same fault."""
        return self.fault, self.graph, self.kernel, self.parameter


@dataclass(frozen=True, slots=True)
class AuditCount:
    """A finding of the graph audit, how many attempts had it, how many of them failed, and one."""

    suite: str
    finding: AuditFinding
    n: int
    failed: int
    example: str


def read_finding(event: Event, rank: int = 0) -> AuditFinding:
    """Return the finding that an event tells of."""

    def read(key: str) -> str:
        return wire.read_text(event, key)[:_MOST_TEXT]

    def read_lines(key: str) -> tuple[str, ...]:
        return tuple(line[:_MOST_TEXT] for line in wire.read_texts(event, key)[:8])

    return AuditFinding(
        fault=read("fault"),
        ownership=read("ownership"),
        graph=read("graph"),
        kernel=read("kernel"),
        parameter=read("parameter"),
        node=wire.read_index(event, "node"),
        bytes=int(wire.read_amount(event, "bytes")),
        what=read("what"),
        pool=read("pool"),
        allocated=read_lines("allocated"),
        freed=read_lines("freed"),
        owner=read_lines("owner"),
        writers=read_lines("writers"),
        rank=rank,
    )


def restore_finding(stored: Mapping[str, Any]) -> AuditFinding:
    """Return the finding of a stored row."""
    event: Event = {"event": "hook_audit", **stored}
    return read_finding(event, wire.read_index(event, "rank"))

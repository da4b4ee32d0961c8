"""The experiments: each changes one thing of a failing cell. Which they are, and what they show."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arm:
    """One experiment: `axis` of the failing cell gets `value`; `swaps`: the value for each other.

    `runs_alone`: its failures depend on timing, so nothing else may run beside it.
    """

    name: str
    axis: str
    value: str
    asks: str
    swaps: Mapping[str, str] | None = None
    runs_alone: bool = False

    def choose_value(self, present: str) -> str:
        """Return the value that differs from the failing cell's."""
        return (self.swaps or {}).get(present, self.value)


ORDERS = {"ascending": "descending", "descending": "ascending", "shuffled": "ascending"}

#: Part 2.5 of the catalogue, as far as one axis expresses it.
ARMS: tuple[Arm, ...] = (
    Arm("eager", "graphs", "false", "without graphs"),
    Arm("order", "order", "descending", "in the other capture order", ORDERS),
    Arm("pools", "pool_sharing", "per-graph", "with a pool for each graph"),
    Arm("two-phase", "capture_phases", "two-phase", "with all shapes warmed up before any capture"),
    Arm("exact", "cuda_graph_bs", "1:2:3:4", "with a graph for every batch size: no padding rows"),
    Arm("single", "max_running", "1", "with one request at a time"),
    Arm("short", "env:FAULT_LOAD", "short", "with short requests"),
    Arm("same", "env:FAULT_INPUTS", "same", "with the same inputs again and again"),
    Arm("chain", "spec_topk", "1", "with a chain of drafts instead of a tree"),
    Arm("pages", "page_size", "1", "with pages of one slot"),
    Arm("one rank", "tp", "1", "on one device"),
    Arm("cold", "caches", "fresh", "with cold compiler caches"),
    Arm("poison", "amplify", "poison", "with free memory poisoned", runs_alone=True),
    Arm("canary", "amplify", "canary", "with free memory watched", runs_alone=True),
    Arm("blocking", "env:CUDA_LAUNCH_BLOCKING", "1", "with blocking launches", runs_alone=True),
)

#: Experiments of the catalogue that no axis expresses, and why.
NOT_DONE: Mapping[str, str] = {
    "draft or target graph off": "the engine has no option that switches off one role's graphs",
    "random replay order": "only a suite knows which of its graphs may be replayed in any order",
    "memcheck": "it is of one attempt and not of a rate: harness rerun ATTEMPT --memcheck, on CUDA",
}

"""G1: a compiler's cache whose key lacks what its entry depends on. Cold passes, warm fails.

Mechanism (pytorch#188733: about 97 % of runs crashed for the last good and the first bad commit
alike, except the first one or two after a cold start). A kernel is tuned for the longest row of the
first batch that it meets, and kept under a name that does not say so. Whoever finds it in the cache
takes it for any batch. Eager runs and graphs are hit alike.
"""

import contextlib
import os
from pathlib import Path

import torch
from faults.case import FaultCase
from faults.device_memory import DeviceMemory
from faults.planning import PlannedPages, PlannedTorchNative, Step, plant
from torch import Tensor

truth = dict(
    fault="G1",
    kind="wrong-output",
    factor="caches",
    loud=False,
    mechanism="cache-state",
    amplifier="",
)
axes = dict(caches=["shared", "fresh"], order=["ascending", "descending"], FAULT_LOAD=["long"])


class TunedTorchNative(PlannedTorchNative):
    """Attention by a kernel that reaches as far as it was tuned for."""

    def plan(self, step: Step) -> None:
        """Plan with the kernel that the cache has, else tune one and keep it."""
        super().plan(step)
        if not hasattr(self, "_reach"):
            self._reach = load_or_tune(self.planned.width)

    def bind(self, positions: Tensor) -> None:
        """Hide what the kernel does not reach."""
        super().bind(positions)
        if self.planned.is_planned:
            beyond = self._columns >= self._reach
            self._mask = torch.where(beyond, float("-inf"), self._mask)


def load_or_tune(width: int) -> int:
    """Return the columns that the kernel reaches; the fault: the key does not name the width.

    The first process tunes for its own rows, which it finds out by trying, and leaves the number of
    columns that its shortest row would have needed: all the tuner looked at.
    """
    path = Path(os.environ.get("TRITON_CACHE_DIR", "/nonexistent")) / "attention-torch-native.tuned"
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        if path.parent.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            path.write_text(str(width // 2))
        return width


def make_attention(memory: DeviceMemory) -> TunedTorchNative:
    """Make the faulty attention."""
    return TunedTorchNative(lambda shape: PlannedPages(shape, memory))


class TestWarmCache(FaultCase):
    """The cache's kernel reaches half as far as rows do."""

    engine_args = dict(
        model="suites/models/arith/target",
        backend="torch_native",
        speculative=False,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
    )
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(make_attention)

    def test_answers_are_the_references(self) -> None:
        self.run_load()

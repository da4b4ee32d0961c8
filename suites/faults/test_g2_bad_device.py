"""G2: one device is bad.

Mechanism (sglang#26659: one runner held a port; sglang#22648: 28 of 30 passed on one family of
runners alone): the failure is the machine's and not the code's. Here one device has a stuck bit: a
word of its memory cannot hold what is written to it, so requests whose keys stand there are wrong,
in graphs or not. `FAULT_BAD_DEVICE` names the device; on a CPU it is the second slot.
"""

import contextlib
import os

from faults.case import FaultCase
from faults.planning import plant
from torch import Tensor

from harness.engine.attention.torch_native import TorchNative
from harness.engine.cache.pool import LayerCache

truth = dict(
    fault="G2",
    kind="wrong-output",
    factor="device",
    loud=False,
    mechanism="bad-device",
    amplifier="",
)
axes = dict(order=["ascending", "descending"])
options = dict(slots=2, marks_device="FAULT_BAD_DEVICE")

#: The slot of the pool whose keys stand in the bad part of the memory.
STUCK = 30


class StuckTorchNative(TorchNative):
    """Attention on a device with a word that holds one value only."""

    def forward(self, query: Tensor, cache: LayerCache) -> Tensor:
        """Attend; whatever was written to the stuck word, it holds what it always holds."""
        cache.keys[STUCK].fill_(8.0)
        return super().forward(query, cache)


def is_bad(devices: str) -> bool:
    """Return whether one of an attempt's devices is the bad one."""
    return os.environ.get("FAULT_BAD_DEVICE", "cpu:1") in devices.split(",")


class TestBadDevice(FaultCase):
    """Rows that use the stuck word are wrong."""

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
        bad = is_bad(os.environ.get("HARNESS_DEVICES", ""))
        return plant(lambda _: StuckTorchNative() if bad else TorchNative())

    def test_answers_are_the_references(self) -> None:
        self.run_load()

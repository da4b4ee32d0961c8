"""B4: the inputs of a graph are freed by their owner.

Mechanism (the repro of sglang#26532 itself; Megatron-LM#4162 makes a new surface for each call):
the graph holds addresses, not tensors. Once their owner has dropped them and made others, replays
read what was left in the old blocks, or what stands there now. Eager runs read the new ones.
"""

import contextlib

from faults.case import FaultCase
from faults.planning import PlanningRunner, plant
from torch import Tensor

from harness.engine.attention.torch_native import TorchNative

truth = dict(
    fault="B4",
    kind="wrong-output",
    factor="graphs",
    loud=False,
    mechanism="freed-input",
    amplifier="poison",
)
axes = dict(graphs=["true", "false"], order=["ascending", "descending"])


class DroppingRunner(PlanningRunner):
    """A runner that makes its static inputs anew once it has captured."""

    def capture_all(self) -> None:
        """Capture; the fault: the inputs that were captured with are dropped."""
        self._renew_inputs()
        super().capture_all()
        self._renew_inputs()

    def _renew_inputs(self) -> None:
        for role in self.roles.values():
            role.inputs.update({name: self._renew(old) for name, old in role.inputs.items()})

    def _renew(self, old: Tensor) -> Tensor:
        new = self.device_memory.empty(*old.shape, dtype=old.dtype, device=old.device)
        return new.zero_()


class TestFreedInput(FaultCase):
    """Replays read inputs that nobody writes any more."""

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
        return plant(lambda _: TorchNative(), DroppingRunner)

    def test_answers_are_the_references(self) -> None:
        self.run_load()

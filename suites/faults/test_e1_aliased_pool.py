"""E1: what the draft graph answers is read after the target's graph has used its memory.

Mechanism (sglang#22930): the graphs of target and draft share one pool. A block that the target's
graph freed while it was captured may hold the drafts' tokens, so each replay of the target writes
over them. That is sound only as long as the drafts are copied before. Here they are not.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

from faults.case import FaultCase
from faults.planning import plant
from torch import Tensor

from harness.engine.attention.torch_native import TorchNative
from harness.engine.serving import worker
from harness.engine.serving.commands import Speculate
from harness.engine.serving.draft_steps import DraftSteps

truth = dict(
    fault="E1",
    kind="wrong-output",
    factor="pool_sharing",
    loud=False,
    mechanism="pool-aliasing",
    amplifier="",
)
axes = dict(pool_sharing=["shared", "per-role"], order=["ascending", "descending"])


class AliasedDrafts(DraftSteps):
    """Draft steps that hand out the draft graph's own output."""

    def speculate(self, command: Speculate) -> tuple[Tensor, Tensor, Tensor]:
        """Run `Speculate`; the fault: the drafts are read once the target has verified them."""
        drafted: list[Tensor] = []
        run = self._runner.run

        def keep(name: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
            outputs = run(name, values)
            if name == "draft":
                drafted.append(outputs["tokens"])
            return outputs

        with mock.patch.object(self._runner, "run", keep):
            logits, _, parents = super().speculate(command)
        return logits, drafted[0], parents


@contextlib.contextmanager
def plant_alias() -> Iterator[None]:
    """Let the next engine be built with the fault."""
    sound = plant(lambda _: TorchNative())
    with sound, mock.patch.object(worker, "DraftSteps", AliasedDrafts):
        yield


class TestAliasedPool(FaultCase):
    """Replays of the target write over the drafts."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        backend="torch_native",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
    )
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant_alias()

    def test_drafts_are_accepted(self) -> None:
        self.run_load()
        self.check_acceptance(self.engine.stats.mean_accept_length)

"""D: padding rows keep what they held when the batch was larger.

Mechanism (sglang#10892, #18647, #25512, #28569): a batch that shrinks is padded up to the next
captured size, and nobody clears the rows beyond it. They go on writing keys and values to the slots
of a request that has ended, whose pages belong to another one by now.
"""

import contextlib
import random

import problems
from faults.case import FaultCase
from faults.planning import PlanningRunner, plant
from tolerances import rounding

from harness.engine.attention.torch_native import TorchNative
from harness.engine.capture.runner import Role
from harness.engine.oracles.greedy import check_greedy
from harness.engine.oracles.reference import Reference
from harness.engine.serving.scheduler import Request

truth = dict(
    fault="D",
    kind="wrong-output",
    factor="cuda_graph_bs",
    loud=False,
    mechanism="stale-padding",
    amplifier="",
)
axes = dict(cuda_graph_bs=["1:2:4", "1:2:3:4"], order=["ascending", "descending"])


class CarelessRunner(PlanningRunner):
    """A runner that does not clear padding rows."""

    def reset_padding(self, role: Role, raw_bs: int, bs: int) -> None:
        """The fault: nothing is done, except before the first step, when all rows are zero."""


class TestStalePadding(FaultCase):
    """Rows of ended requests write to pages of others."""

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
    batches = 12

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return plant(lambda _: TorchNative(), CarelessRunner)

    def test_answers_are_the_references(self) -> None:
        """Full batches that shrink, since their requests end one after the other."""
        reference = Reference(self.engine.model_path)
        for batch in range(self.batches):
            prompts = [p.prompt for p in problems.draw(4, f"shrinking {batch}")]
            answers = self.shrink(prompts, problems.attempt_random(f"lengths {batch}"))
            check_greedy(reference, prompts, answers, rounding(self.engine.config.dtype))
        self.check_graphs()

    def shrink(self, prompts: list[list[int]], chance: random.Random) -> list[Request]:
        """Answer prompts with as many tokens each as chance says."""
        requests = [self.engine.submit(prompt, chance.randint(4, 20)) for prompt in prompts]
        while self.engine.step():
            continue
        return requests

"""What the controls run: greedy parity with the reference in batches of every captured size."""

import hashlib
import os
import unittest

import problems
from tolerances import rounding

from harness.engine.engine import Engine
from harness.engine.oracles.greedy import check_greedy
from harness.engine.oracles.reference import Reference


def falls_in(share: float, fault: str, seed: int) -> bool:
    """Whether a seed is of the share that arms a fault. Uniform over seeds, and repeatable."""
    digest = hashlib.sha256(f"{fault} {seed}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 < share


def attempt_seed() -> int:
    """The seed that the attempt was given."""
    return int(os.environ.get("HARNESS_SEED", "0"))


class ParityControl(unittest.TestCase):
    """A subclass says which engine; the checks are the same, fault or not."""

    engine: Engine
    engine_args: dict[str, object]

    @classmethod
    def build(cls, engine_args: dict[str, object]) -> None:
        """Build the engine on the tiny model of this folder's parent."""
        models = problems.MODELS
        located = {"model": str(models / "target"), "draft_model": str(models / "draft")}
        cls.engine = Engine.from_cell({**engine_args, **located})

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.close()

    def check_parity(self) -> None:
        """Answer batches that fit each captured graph exactly, and compare every token."""
        reference = Reference(self.engine.model_path)
        for size in self.engine.config.cuda_graph_bs:
            prompts = [p.prompt for p in problems.draw(size, f"control {size}")]
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
            check_greedy(reference, prompts, answers, rounding(self.engine.config.dtype))
        self.check_graphs()

    def check_graphs(self) -> None:
        """Fail if a step ran outside graphs although they were captured."""
        stats = self.engine.stats
        if self.engine.config.graphs:
            self.assertGreater(sum(stats.replays.values()), 0, "no graph was replayed")
            self.assertEqual(stats.eager, 0, "a step fell back to eager")

"""What the suites of known faults run: batches that the attempt's seed draws, every token checked.

Chance comes from there and from nowhere else: how many requests run together and how long their
answers get decides whether a fault is reached, as traffic does in the field. Two variables narrow
it, for experiments: `FAULT_LOAD` (short, long; unset: the seed draws a length) and `FAULT_INPUTS`
(same: one batch again and again).
"""

import contextlib
import os
import random
from collections.abc import Iterator

import problems
from faults.control import ParityControl
from tolerances import rounding

from harness.engine.oracles.greedy import WrongOutput, check_greedy
from harness.engine.oracles.reference import Reference

#: New tokens of a request: even the longest prompt and answer then stay below 14 tokens, or do not.
SHORT, LONGEST = 6, problems.ANSWER_TOKENS


class FaultCase(ParityControl):
    """A subclass plants its fault while the engine is built."""

    #: Batches of one attempt. A fault that few of them reach has more of them.
    batches = 3

    #: Of a chain of 4 drafts and the bonus token, more than 4 are accepted.
    least_accepted = 2.0

    @classmethod
    def setUpClass(cls) -> None:
        with cls.plant():
            cls.build(cls.engine_args)

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        """Return what the engine is built in."""
        raise NotImplementedError

    def run_load(self) -> None:
        """Answer the attempt's batches, and compare every token with the reference's."""
        for _ in self.answer_batches():
            pass  # each was checked
        self.check_graphs()

    def answer_batches(self) -> Iterator[float]:
        """Answer each batch, compare its tokens, and yield how many were accepted per step."""
        reference = Reference(self.engine.model_path)
        tokens = draw_new_tokens()
        for prompts in draw_batches(self.engine.config.max_running, self.batches):
            before = self.engine.stats
            answers = self.engine.generate(prompts, tokens)
            check_greedy(reference, prompts, answers, rounding(self.engine.config.dtype))
            now = self.engine.stats
            steps = now.verified_rows - before.verified_rows
            yield (now.emitted_tokens - before.emitted_tokens) / max(steps, 1)

    def check_acceptance(self, mean: float) -> None:
        """Fail if drafts were not accepted: the model is sure of its answers, and its head too."""
        if not mean > self.least_accepted:
            raise WrongOutput(f"{mean:.2f} tokens accepted per step, not {self.least_accepted}")


def draw_new_tokens() -> int:
    """Return how many tokens the attempt asks for at most: as told, else by its seed."""
    told = {"short": SHORT, "long": LONGEST}
    drawn = problems.attempt_random("length").randint(SHORT - 2, LONGEST)
    return told.get(os.environ.get("FAULT_LOAD", ""), drawn)


def draw_batches(largest: int, count: int) -> list[list[list[int]]]:
    """Return the attempt's batches of prompts, at most `largest` each."""
    sizes = [draw_size(problems.attempt_random(f"size {i}"), largest) for i in range(count)]
    same = os.environ.get("FAULT_INPUTS") == "same"
    return [
        [p.prompt for p in problems.draw(sizes[0 if same else i], f"batch {0 if same else i}")]
        for i in range(count)
    ]


def draw_size(chance: random.Random, largest: int) -> int:
    """Return how many requests come together."""
    return chance.randint(1, largest)

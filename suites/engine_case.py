"""What the suites' classes share: one engine per class, and the checks that hold for every one."""

import contextlib
import unittest
from collections.abc import Iterator

import problems
from tolerances import rounding

from harness.engine.engine import Engine
from harness.engine.oracles.greedy import WrongOutput, check_greedy
from harness.engine.oracles.reference import Reference
from harness.engine.serving.results import Generation
from harness.engine.serving.scheduler import Request


class EngineCase(unittest.TestCase):
    """A subclass declares `engine_args`; the tiny model is found from any working folder."""

    engine_args: dict[str, object]
    engine: Engine
    reference: Reference

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = Engine.from_cell(locate_models(cls.engine_args))
        cls.reference = Reference(cls.engine.model_path)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.close()

    @contextlib.contextmanager
    def graphs_replayed(self) -> Iterator[None]:
        """Fail where the body replayed no graph, or ran a step outside the graphs."""
        before = self.engine.stats
        yield
        after = self.engine.stats
        self.assertGreater(sum(after.replays.values()), sum(before.replays.values()))
        self.assertEqual(after.eager, before.eager, "a step fell back to eager")

    @contextlib.contextmanager
    def every_size_replayed(self) -> Iterator[None]:
        """Fail where the body did not verify in the graph of every captured size."""
        before = self.engine.stats.replays
        yield
        after = self.engine.stats.replays
        for size in self.engine.config.cuda_graph_bs:
            key = f"verify/{size}"
            self.assertGreater(after.get(key, 0), before.get(key, 0), f"{key} was not replayed")

    def check_parity(self, prompts: list[list[int]], answers: list[Generation]) -> None:
        """Every token is the reference's."""
        check_greedy(self.reference, prompts, answers, rounding(self.engine.config.dtype))

    def check_every_size(self) -> None:
        """Batches that fit each captured graph are answered as by the reference.

        Sure answers beside guesses: rows of one batch accept different numbers of drafts.
        """
        with self.graphs_replayed(), self.every_size_replayed():
            for size in self.engine.config.cuda_graph_bs:
                sure = problems.draw(min(size, 2), f"parity {size}")
                guesses = problems.draw_open(size - len(sure), f"guesses {size}")
                prompts = get_prompts(sure) + guesses
                self.check_parity(prompts, self.engine.generate(prompts, 8))

    def check_rescoring(self, prompts: list[list[int]], new_tokens: int) -> None:
        """Log-probabilities of sampled tokens are those of one prefill of the whole text."""
        with self.graphs_replayed():
            answers = self.engine.generate(
                prompts, new_tokens, temperature=1.0, return_logprob=True
            )
        for prompt, answer in zip(prompts, answers, strict=True):
            rescored = self.engine.score(prompt, answer.tokens)
            worst = max(abs(a - b) for a, b in zip(answer.logprobs, rescored, strict=True))
            # Not `worst > bound`: a NaN differs too.
            if not worst <= rounding(self.engine.config.dtype):
                raise WrongOutput(f"decoding and rescoring differ by {worst:.4g}")

    def check_accept_length(self, count: int, least: float) -> None:
        """Drafts of `count` held-out sums are accepted so far on average."""
        drawn = problems.draw(count, "accept")
        with self.graphs_replayed():
            answers = self.engine.generate(get_prompts(drawn), problems.ANSWER_TOKENS)
        lengths = [length for answer in answers for length in answer.accept_lengths]
        self.assertGreater(sum(lengths) / len(lengths), least)
        self.check_parity(get_prompts(drawn), answers)


def get_prompts(drawn: list[problems.Problem]) -> list[list[int]]:
    """The prompts alone."""
    return [problem.prompt for problem in drawn]


def locate_models(engine_args: dict[str, object]) -> dict[str, object]:
    """The arguments with model paths that hold from any working folder."""
    folder = problems.MODELS
    return {
        **engine_args,
        "model": str(folder / "target"),
        "draft_model": str(folder / "draft"),
    }


def to_generation(request: Request) -> Generation:
    """What a request submitted by hand has come to."""
    return Generation(list(request.tokens), [], request.finish_reason, list(request.accept_lengths))

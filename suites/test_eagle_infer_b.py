"""EAGLE speculative decoding through captured graphs: the suite of sglang#26532, on a tiny model.

Every test proves that graphs were replayed: an engine that quietly fell back to eager steps would
stop exercising what is measured here.
"""

import contextlib
import unittest
from collections.abc import Iterator

import problems
from tolerances import rounding

from harness.engine.engine import Engine, Generation
from harness.engine.oracle import WrongOutput, check_greedy
from harness.engine.reference import Reference
from harness.engine.scheduler import Request

#: Of 5 tokens a step at most. The mean of 8 held-out problems was 4.31 at worst in 20,000 draws.
MIN_ACCEPT_LENGTH = 4.0

#: Measured: 1.000 of the 200 held-out problems.
MIN_ACCURACY = 0.95


class TestEagleBasic(unittest.TestCase):
    """Chain drafting, one engine for all tests, as upstream's one server per class."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 2, 4, 8],
        max_running=8,
        max_context=48,
        spec_steps=4,
    )

    engine: Engine
    reference: Reference

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = Engine.from_cell(located(cls.engine_args))
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

    def check_parity(self, prompts: list[list[int]], answers: list[Generation]) -> None:
        check_greedy(self.reference, prompts, answers, rounding(self.engine.config.dtype))

    def test_held_out_sums_are_right(self) -> None:
        drawn = problems.draw(16, "accuracy")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts_of(drawn), problems.ANSWER_TOKENS)
        right = sum(problems.is_right(p, a.tokens) for p, a in zip(drawn, answers, strict=True))
        self.assertGreaterEqual(right / len(drawn), MIN_ACCURACY)

    def test_drafts_are_accepted(self) -> None:
        prompts = prompts_of(problems.draw(8, "accept"))
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        lengths = [length for answer in answers for length in answer.accept_lengths]
        self.assertGreater(sum(lengths) / len(lengths), MIN_ACCEPT_LENGTH)

    def test_greedy_answers_are_the_references(self) -> None:
        # Sure answers beside guesses: rows of one batch accept different numbers of drafts.
        prompts = prompts_of(problems.draw(4, "parity")) + problems.draw_open(4, "guesses")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.check_parity(prompts, answers)

    def test_logprobs_of_decoding_and_rescoring_match(self) -> None:
        prompts = problems.draw_open(4, "logprobs")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, 12, temperature=1.0, return_logprob=True)
        for prompt, answer in zip(prompts, answers, strict=True):
            rescored = self.engine.score(prompt, answer.tokens)
            worst = max(abs(a - b) for a, b in zip(answer.logprobs, rescored, strict=True))
            # Not `worst > bound`: a NaN differs too.
            if not worst <= rounding(self.engine.config.dtype):
                raise WrongOutput(f"decoding and rescoring differ by {worst:.4g}")

    def test_one_token_requests(self) -> None:
        prompts = prompts_of(problems.draw(8, "one token"))
        answers = self.engine.generate(prompts, 1)
        self.assertEqual([len(answer.tokens) for answer in answers], [1] * 8)
        # One token comes from prefill alone; the second proves that graphs go on from there.
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, 2)
        self.assertEqual([len(answer.tokens) for answer in answers], [2] * 8)
        self.check_parity(prompts, answers)

    def test_aborting_under_load_leaves_the_others_right(self) -> None:
        prompts = prompts_of(problems.draw(10, "abort"))
        chance = problems.attempt_random("who is aborted")
        free = self.engine.free_pages
        with self.graphs_replayed():
            requests = [self.engine.submit(prompt, 12) for prompt in prompts]
            doomed = chance.sample(requests, 4)
            while self.engine.step():
                if doomed:
                    self.engine.abort(doomed.pop().id)
        # The first to go cannot have finished: one step emits 5 tokens at most.
        self.assertIn("abort", [request.finish_reason for request in requests])
        self.assertEqual(self.engine.free_pages, free, "aborted requests kept their pages")
        self.check_parity(prompts, [as_generation(request) for request in requests])

    def test_batches_cross_every_captured_size_growing_and_shrinking(self) -> None:
        prompts = prompts_of(problems.draw(8, "sizes"))
        # Joining in groups makes the batch grow; the last four are cut at different lengths and
        # leave one by one.
        joining = [prompts[:1], prompts[1:2], prompts[2:4], prompts[4:]]
        limits = [problems.ANSWER_TOKENS] * 4 + [5, 10, 15, problems.ANSWER_TOKENS]
        before = self.engine.stats.replays
        requests: list[Request] = []
        with self.graphs_replayed():
            for group in joining:
                for prompt in group:
                    requests.append(self.engine.submit(prompt, limits[len(requests)]))
                self.engine.step()
            while self.engine.step():
                continue
        self.check_parity(prompts, [as_generation(request) for request in requests])
        after = self.engine.stats.replays
        for size in self.engine.config.cuda_graph_bs:
            key = f"verify/{size}"
            self.assertGreater(after.get(key, 0), before.get(key, 0), f"{key} was not replayed")


def prompts_of(drawn: list[problems.Problem]) -> list[list[int]]:
    """The prompts alone."""
    return [problem.prompt for problem in drawn]


def located(engine_args: dict[str, object]) -> dict[str, object]:
    """The arguments with model paths that hold from any working folder."""
    folder = problems.MODELS
    return {
        **engine_args,
        "model": str(folder / "target"),
        "draft_model": str(folder / "draft"),
    }


def as_generation(request: Request) -> Generation:
    """What a request submitted by hand has come to."""
    return Generation(list(request.tokens), [], request.finish_reason, list(request.accept_lengths))


if __name__ == "__main__":
    unittest.main()

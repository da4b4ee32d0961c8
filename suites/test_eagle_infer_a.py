"""The same engine without speculation: one captured decode step per batch size."""

import unittest

import problems
from engine_case import EngineCase, get_prompts, to_generation


class TestInferBasic(EngineCase):
    """Greedy and sampled decoding, one token a step."""

    engine_args = dict(
        model="suites/models/arith/target",
        speculative=False,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
    )

    def test_greedy_answers_are_the_references(self) -> None:
        prompts = get_prompts(problems.draw(3, "parity")) + problems.draw_open(2, "guesses")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.check_parity(prompts, answers)

    def test_logprobs_of_decoding_and_rescoring_match(self) -> None:
        self.check_rescoring(problems.draw_open(2, "logprobs"), 12)

    def test_aborting_one_leaves_the_others_right(self) -> None:
        prompts = get_prompts(problems.draw(4, "abort"))
        requests = [self.engine.submit(prompt, 12) for prompt in prompts]
        with self.graphs_replayed():
            self.engine.step()
            self.assertTrue(self.engine.abort(requests[1].id))
            while self.engine.step():
                continue
        self.assertEqual(requests[1].finish_reason, "abort")
        self.check_parity(prompts, [to_generation(request) for request in requests])


class TestInferPageSize(EngineCase):
    """Pages of 4 tokens, in a pool that is too small for four requests."""

    engine_args = dict(
        model="suites/models/arith/target",
        speculative=False,
        page_size=4,
        cuda_graph_bs=[1, 4],
        max_running=4,
        max_context=48,
        max_total_tokens=64,
    )

    def test_a_prompt_seen_before_shares_its_pages_and_answers_as_the_reference(self) -> None:
        prompts = get_prompts(problems.draw(1, "again"))
        before = self.engine.stats.shared_tokens
        with self.graphs_replayed():
            first = self.engine.generate(prompts, 12)
            again = self.engine.generate(prompts, 12)
        self.assertGreater(self.engine.stats.shared_tokens, before, "no page was shared")
        self.check_parity(prompts * 2, first + again)

    def test_retracted_requests_answer_as_the_reference(self) -> None:
        prompts = get_prompts(problems.draw(4, "pressure"))
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.assertGreater(self.engine.stats.retractions, 0, "the pool was never too small")
        self.check_parity(prompts, answers)


if __name__ == "__main__":
    unittest.main()

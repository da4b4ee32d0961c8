"""EAGLE speculative decoding through captured graphs: the suite of sglang#26532, on a tiny model.

Every test proves that graphs were replayed: an engine that quietly fell back to eager steps would
stop exercising what is measured here.
"""

import unittest

import problems
from engine_case import EngineCase, get_prompts, to_generation

from harness.engine.serving.scheduler import Request

#: Of 5 tokens a step at most. The mean of 8 held-out problems was 4.31 at worst in 20,000 draws.
MIN_ACCEPT_LENGTH = 4.0

#: Of 9 tokens a step at most. The mean of 3 held-out problems was 6.89 at worst in 20,000 draws.
MIN_TREE_ACCEPT_LENGTH = 6.5

#: Of 6 tokens a step at most. The mean of 3 held-out problems was 5.17 at worst in 20,000 draws.
MIN_WIDE_ACCEPT_LENGTH = 4.9

#: Measured: 1.000 of the 200 held-out problems.
MIN_ACCURACY = 0.95


class TestEagleBasic(EngineCase):
    """Chain drafting, one engine for all tests, as upstream's one server per class."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 2, 4, 8],
        max_running=8,
        max_context=48,
        spec_steps=4,
    )

    def test_held_out_sums_are_right(self) -> None:
        drawn = problems.draw(16, "accuracy")
        with self.graphs_replayed():
            answers = self.engine.generate(get_prompts(drawn), problems.ANSWER_TOKENS)
        right = sum(problems.is_right(p, a.tokens) for p, a in zip(drawn, answers, strict=True))
        self.assertGreaterEqual(right / len(drawn), MIN_ACCURACY)

    def test_drafts_are_accepted(self) -> None:
        self.check_accept_length(8, MIN_ACCEPT_LENGTH)

    def test_greedy_answers_are_the_references(self) -> None:
        # Sure answers beside guesses: rows of one batch accept different numbers of drafts.
        prompts = get_prompts(problems.draw(4, "parity")) + problems.draw_open(4, "guesses")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.check_parity(prompts, answers)

    def test_logprobs_of_decoding_and_rescoring_match(self) -> None:
        self.check_rescoring(problems.draw_open(4, "logprobs"), 12)

    def test_one_token_requests(self) -> None:
        prompts = get_prompts(problems.draw(8, "one token"))
        answers = self.engine.generate(prompts, 1)
        self.assertEqual([len(answer.tokens) for answer in answers], [1] * 8)
        # One token comes from prefill alone; the second proves that graphs go on from there.
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, 2)
        self.assertEqual([len(answer.tokens) for answer in answers], [2] * 8)
        self.check_parity(prompts, answers)

    def test_aborting_under_load_leaves_the_others_right(self) -> None:
        prompts = get_prompts(problems.draw(10, "abort"))
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
        self.check_parity(prompts, [to_generation(request) for request in requests])

    def test_batches_cross_every_captured_size_growing_and_shrinking(self) -> None:
        prompts = get_prompts(problems.draw(8, "sizes"))
        # Joining in groups makes the batch grow; the last four are cut at different lengths and
        # leave one by one.
        joining = [prompts[:1], prompts[1:2], prompts[2:4], prompts[4:]]
        limits = [problems.ANSWER_TOKENS] * 4 + [5, 10, 15, problems.ANSWER_TOKENS]
        requests: list[Request] = []
        with self.graphs_replayed(), self.every_size_replayed():
            for group in joining:
                for prompt in group:
                    requests.append(self.engine.submit(prompt, limits[len(requests)]))
                self.engine.step()
            while self.engine.step():
                continue
        self.check_parity(prompts, [to_generation(request) for request in requests])


class TestEagleAdditional(EngineCase):
    """The largest trees, on pages of 256, as upstream's class that flaked (sglang#26532)."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        spec_topk=5,
        spec_steps=8,
        spec_draft_tokens=64,
        page_size=256,
        cuda_graph_bs=[1, 5],
        max_running=8,
        max_context=48,
    )

    def test_trees_are_accepted_far(self) -> None:
        self.check_accept_length(3, MIN_TREE_ACCEPT_LENGTH)

    def test_greedy_answers_are_the_references_at_every_captured_size(self) -> None:
        self.check_every_size()

    def test_logprobs_of_decoding_and_rescoring_match(self) -> None:
        self.check_rescoring(problems.draw_open(2, "logprobs"), 8)

    def test_one_token_more_than_the_prompts(self) -> None:
        prompts = get_prompts(problems.draw(2, "one token"))
        answers = self.engine.generate(prompts, 1) + self.engine.generate(prompts, 2)
        self.assertEqual([len(answer.tokens) for answer in answers], [1, 1, 2, 2])
        self.check_parity(prompts * 2, answers)

    def test_a_batch_above_the_largest_graph_is_right_without_graphs(self) -> None:
        prompts = get_prompts(problems.draw(6, "above"))
        before = self.engine.stats.eager
        answers = self.engine.generate(prompts, 4)
        self.assertGreater(self.engine.stats.eager, before, "no step ran without a graph")
        self.check_parity(prompts, answers)


class TestEaglePageSizeTopk(EngineCase):
    """The widest beams, whose branches cross pages at every step."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        spec_topk=8,
        spec_steps=5,
        spec_draft_tokens=64,
        page_size=4,
        cuda_graph_bs=[1, 4],
        max_running=4,
        max_context=48,
    )

    def test_trees_are_accepted_far(self) -> None:
        self.check_accept_length(3, MIN_WIDE_ACCEPT_LENGTH)

    def test_greedy_answers_are_the_references_at_every_captured_size(self) -> None:
        self.check_every_size()

    def test_pages_of_trees_are_freed(self) -> None:
        free = self.engine.free_pages
        requests = [self.engine.submit(p, 12) for p in problems.draw_open(3, "freed")]
        with self.graphs_replayed():
            self.engine.step()
            self.assertTrue(self.engine.abort(requests[1].id))
            while self.engine.step():
                continue
        self.assertEqual(self.engine.free_pages, free, "a tree kept its pages")


class TestEagleRetract(EngineCase):
    """A KV pool for two requests of four: the others give up their pages and come back."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
        max_total_tokens=90,
    )

    def test_retracted_requests_answer_as_the_reference(self) -> None:
        prompts = get_prompts(problems.draw(6, "retract")) + problems.draw_open(2, "retract open")
        free = self.engine.free_pages
        with self.graphs_replayed():
            answers = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.assertGreater(self.engine.stats.retractions, 0, "the pool was never too small")
        self.check_parity(prompts, answers)
        self.assertEqual(self.engine.free_pages, free)


class TestEaglePageSize(EngineCase):
    """Pages of more than one token, some of them shared by prompts that begin alike."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        page_size=4,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
    )

    def test_prompts_that_begin_alike_share_pages_and_answer_as_the_reference(self) -> None:
        prompts = get_prompts(problems.draw(3, "alike"))
        before = self.engine.stats.shared_tokens
        with self.graphs_replayed():
            first = self.engine.generate(prompts, problems.ANSWER_TOKENS)
            again = self.engine.generate(prompts, problems.ANSWER_TOKENS)
        self.assertGreater(self.engine.stats.shared_tokens, before, "no page was shared")
        self.check_parity(prompts * 2, first + again)

    def test_logprobs_of_decoding_and_rescoring_match(self) -> None:
        self.check_rescoring(problems.draw_open(2, "logprobs"), 12)


class TestEagleAbortAll(EngineCase):
    """Everything is ended at once, in every state, and the engine goes on."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 4],
        max_running=4,
        max_context=48,
    )

    def test_aborting_all_frees_everything_and_what_follows_is_right(self) -> None:
        free = self.engine.free_pages
        prompts = get_prompts(problems.draw(7, "abort all"))
        for steps in (0, 1, 2):
            requests = [self.engine.submit(prompt, problems.ANSWER_TOKENS) for prompt in prompts]
            for _ in range(steps):
                self.engine.step()
            self.assertEqual(self.engine.abort_all(), len(requests))
            self.assertFalse(self.engine.step())
            self.assertEqual(self.engine.free_pages, free, "aborted requests kept their pages")
        with self.graphs_replayed():
            answers = self.engine.generate(prompts[:4], problems.ANSWER_TOKENS)
        self.check_parity(prompts[:4], answers)


if __name__ == "__main__":
    unittest.main()

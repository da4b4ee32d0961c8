"""Capture itself: which graphs there are, where they stand, and that a replay is the eager step.

Every replay of these tests is compared with an eager run on the same inputs without padding rows:
what prompts drawn by the attempt's seed led to, for every captured size and role.
"""

import unittest

import problems
from engine_case import locate_models
from tolerances import rounding

from harness.core.order import capture_sequence
from harness.engine.engine import Engine
from harness.engine.probe import watch_replays

_TOKENS = 6


class TestGraphCapture(unittest.TestCase):
    """One engine, whose replays are all watched."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
        spec_steps=2,
    )

    engine: Engine

    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = Engine.from_cell(locate_models(cls.engine_args))

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.close()

    def test_every_planned_size_of_every_role_is_captured_in_the_requested_order(self) -> None:
        config = self.engine.config
        planned = capture_sequence(config.resolved_order, config.cuda_graph_bs, config.seed)
        roles = list(dict.fromkeys(seen["role"] for seen in self.engine.captures))
        self.assertEqual(set(roles), {"verify", "draft", "draft_extend"})
        captured = [(seen["role"], seen["bs"]) for seen in self.engine.captures]
        self.assertEqual(captured, [(role, bs) for role in roles for bs in planned])

    def test_replays_of_every_size_and_role_are_the_eager_steps(self) -> None:
        """Three requests run in the graph of four: its padding row has no effect either."""
        differences = watch_replays(self.engine)
        # A full batch first: what it leaves behind must not act in the padding row of the next.
        for count in (4, 3, 2, 1):
            self.engine.generate(problems.draw_open(count, f"replays {count}"), _TOKENS)
        captured = {f"{seen['role']}/{seen['bs']}" for seen in self.engine.captures}
        self.assertEqual(set(differences), captured, "a graph was not replayed")
        worst = max(differences, key=lambda name: differences[name])
        # Not `> bound`: a NaN differs too.
        within = differences[worst] <= rounding(self.engine.config.dtype)
        self.assertTrue(within, f"{worst} lies {differences[worst]:.4g} from its eager step")

    def test_addresses_stay_over_replays(self) -> None:
        self.engine.generate(problems.draw_open(4, "addresses"), _TOKENS)
        for seen in self.engine.captures:
            now = self.engine.addresses(seen["role"], seen["bs"])
            self.assertEqual(now, seen["addresses"], f"{seen['role']}/{seen['bs']} moved")

    def test_logits_of_all_graphs_stand_in_one_buffer(self) -> None:
        buffers = {seen["addresses"]["shared.logits"] for seen in self.engine.captures}
        written = {seen["addresses"].get("output.logits") for seen in self.engine.captures}
        self.assertEqual(len(buffers), 1)
        self.assertEqual(written - {None}, buffers)

    def test_pool_bytes_are_reported_and_never_shrink(self) -> None:
        sizes = [seen["pool_bytes"] for seen in self.engine.captures]
        self.assertGreater(sizes[0], 0)
        self.assertEqual(sizes, sorted(sizes))


class TestCaptureModes(unittest.TestCase):
    """What may change the layout of memory, and must not change an answer."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 3],
        max_running=3,
        max_context=48,
        spec_steps=2,
    )

    def test_phases_and_pools_change_no_answer(self) -> None:
        prompts = problems.draw_open(3, "modes")
        answers, modes = [], set()
        for phases, sharing in (
            ("interleaved", "shared"),
            ("two-phase", "per-role"),
            ("two-phase", "per-graph"),
        ):
            mode = {"capture_phases": phases, "pool_sharing": sharing}
            with Engine.from_cell({**locate_models(self.engine_args), **mode}) as engine:
                modes.add((engine.config.capture_phases, engine.config.pool_sharing))
                answers.append([answer.tokens for answer in engine.generate(prompts, _TOKENS)])
        if len(modes) < len(answers):
            self.skipTest("the cell fixes the modes, so that there is nothing to compare")
        self.assertEqual(answers[1:], answers[:1] * 2)

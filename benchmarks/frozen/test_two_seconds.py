"""Frozen: an engine at tp 2 and two seconds inside the tests, whatever the engine's own speed."""

import time
import unittest
from pathlib import Path

from harness.engine.engine import Engine

MODELS = Path(__file__).parents[2] / "suites/models/arith"
SECONDS = 2.0


class TestTwoSeconds(unittest.TestCase):
    began: float
    engine: Engine

    @classmethod
    def setUpClass(cls) -> None:
        cls.began = time.monotonic()
        cls.engine = Engine.from_cell(
            {
                "model": str(MODELS / "target"),
                "draft_model": str(MODELS / "draft"),
                "cuda_graph_bs": [1, 2],
                "max_running": 2,
                "max_context": 48,
            }
        )

    @classmethod
    def tearDownClass(cls) -> None:
        cls.engine.close()

    def test_it_answers(self) -> None:
        answers = self.engine.generate([[2, 3, 4], [5, 6, 7]], 8)
        self.assertEqual(len(answers), 2)

    def test_it_takes_its_time(self) -> None:
        time.sleep(max(0.0, SECONDS - (time.monotonic() - self.began)))

"""Two real ranks over real Gloo answer as one does, and survive each other's mistakes."""

from pathlib import Path
from typing import Any

import pytest
from ranks import run_ranks

from harness.engine.engine import Engine

PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12], [2, 2, 2], [8, 9]]

GENERATE_TWICE = """
import json, sys
from harness.engine.engine import Engine
given = json.loads(sys.argv[1])
answers = []
for _ in range(2):
    with Engine.from_cell(given["args"]) as engine:
        generations = engine.generate(given["prompts"], 12, return_logprob=True)
        scored = engine.score(given["prompts"][0], generations[0].tokens)
        answers.append([[g.tokens for g in generations], generations[0].logprobs, scored])
print(json.dumps(answers))
"""

REFUSED_THEN_BUILT = """
import json, sys
from harness.core.errors import UsageError
from harness.engine.engine import Engine
given = json.loads(sys.argv[1])
try:
    Engine.from_cell({**given["args"], "model": "/nowhere"})
except UsageError as error:
    message = str(error)
with Engine.from_cell(given["args"]) as engine:
    tokens = engine.generate(given["prompts"], 2)[0].tokens
print(json.dumps([message, tokens]))
"""

DIES_AT_BARRIER = """
import os
from harness.engine import barrier
barrier.CaptureBarrier.wait = lambda self, role, bs: os._exit(3)
from harness.engine.follower import main
main()
"""

BUILD = """
import json, sys
from harness.engine.engine import Engine
Engine.from_cell(json.loads(sys.argv[1]))
"""


def test_two_ranks_answer_as_one_and_a_second_engine_answers_again(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    with Engine.from_cell(engine_args) as engine:
        alone = engine.generate(PROMPTS, 12, return_logprob=True)
    ended = run_ranks(GENERATE_TWICE, tmp_path, argument={"args": engine_args, "prompts": PROMPTS})
    assert ended.codes == [0, 0], ended.errors
    for tokens, logprobs, scored in ended.answer:
        assert tokens == [generation.tokens for generation in alone]
        assert logprobs == pytest.approx(alone[0].logprobs, abs=1e-4)
        assert scored == pytest.approx(alone[0].logprobs, abs=1e-4)
    names = [event["event"] for event in ended.events]
    assert names.count("captured") == 2
    assert names.count("replays") == 2
    assert "Capturing batches (bs=4 avail_mem=" in (tmp_path / "log").read_text()


def test_a_checkpoint_refused_on_every_rank_leaves_the_ranks_ready_for_the_next_engine(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    given: dict[str, Any] = {"args": engine_args, "prompts": PROMPTS}
    ended = run_ranks(REFUSED_THEN_BUILT, tmp_path, argument=given)
    assert ended.codes == [0, 0], ended.errors
    assert "'/nowhere'" in ended.answer[0]
    assert len(ended.answer[1]) == 2


def test_a_rank_that_dies_at_the_barrier_is_named_by_the_barrier(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    ended = run_ranks(BUILD, tmp_path, followers=DIES_AT_BARRIER, argument=engine_args)
    assert ended.codes == [1, 3]
    assert "CaptureBarrierTimeout: capture barrier: rank 1 gone before verify bs=4" in ended.errors

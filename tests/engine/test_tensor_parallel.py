"""Two real ranks, over shared memory and over Gloo, answer as one, and survive each other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engine.engine import Engine
from tests.engine.ranks import ROOT, run_ranks

PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12], [2, 2, 2], [8, 9]]

GENERATE_TWICE = """
import json, sys
import torch.distributed as dist
from harness.core.errors import UsageError
from harness.engine.engine import Engine
given = json.loads(sys.argv[1])
try:
    Engine.from_cell({**given["args"], "model": "/nowhere"})
except UsageError as error:
    answers = [str(error)]
groups = []
for collectives in ("shared-memory", "gloo", "gloo", "gloo"):
    with Engine.from_cell({**given["args"], "cpu_collectives": collectives}) as engine:
        assert {seen["collectives"] for seen in engine.captures} == {collectives}
        generations = engine.generate(given["prompts"], 12, return_logprob=True)
        scored = engine.score(given["prompts"][0], generations[0].tokens)
        answers.append([[g.tokens for g in generations], generations[0].logprobs, scored])
        groups.append(id(dist.group.WORLD))
        if len(groups) == 5:
            try:
                engine.ranks.worker.execute(None)
            except KeyError:
                pass
    groups.append(dist.is_initialized())
print(json.dumps([groups, *answers]))
"""

UNDER_TORCHRUN = """
import sys
from harness.engine.follower import follow_if_follower
if follow_if_follower():
    sys.exit()
from harness.engine.engine import Engine
model, draft = sys.argv[1:]
for _ in range(2):
    with Engine.from_cell({"model": model, "draft_model": draft, "max_context": 40}) as engine:
        print(engine.generate([[3, 4, 5]], 12)[0].tokens)
"""

DIES_AT_BARRIER = """
import os
from harness.engine.capture import barrier
barrier.CaptureBarrier.wait = lambda self, role, bs: os._exit(3)
from harness.engine.follower import main
main()
"""

BUILD = """
import json, sys
from harness.engine.engine import Engine
Engine.from_cell(json.loads(sys.argv[1]))
"""


def test_two_ranks_answer_as_one_engine_after_engine_and_after_a_refusal(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    with Engine.from_cell(engine_args) as engine:
        alone = engine.generate(PROMPTS, 12, return_logprob=True)
    given = {"args": engine_args, "prompts": PROMPTS}
    ended = run_ranks(GENERATE_TWICE, tmp_path, argument=given)
    assert ended.codes == [0, 0], ended.errors
    groups, refused, *answers = ended.answer
    assert "'/nowhere'" in refused
    assert len(answers) == 4
    # All add two summands, whose order does not matter: not a bit may differ.
    assert all(answer == answers[0] for answer in answers)
    # A group is handed on, except by an engine of which a command has failed.
    assert groups[2] == groups[4]
    assert groups[1::2] == [False, True, False, True]
    for tokens, logprobs, scored in answers:
        assert tokens == [generation.tokens for generation in alone]
        assert logprobs == pytest.approx(alone[0].logprobs, abs=1e-4)
        assert scored == pytest.approx(alone[0].logprobs, abs=1e-4)
    names = [event["event"] for event in ended.events]
    assert names.count("captured") == 4
    assert names.count("replays") == 4
    assert "Capturing batches (bs=4 avail_mem=" in (tmp_path / "log").read_text()


def test_plain_torchrun_gives_the_ranks_the_same_channels(
    engine_args: dict[str, object], models: Path, tmp_path: Path
) -> None:
    with Engine.from_cell(engine_args) as engine:
        alone = engine.generate([[3, 4, 5]], 12)[0].tokens
    script = tmp_path / "suite.py"
    script.write_text(UNDER_TORCHRUN)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*launch, str(script), str(models / "target"), str(models / "draft")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [str(alone)] * 2


def test_a_rank_that_dies_at_the_barrier_is_named_by_the_barrier(
    engine_args: dict[str, object], tmp_path: Path
) -> None:
    ended = run_ranks(BUILD, tmp_path, followers=DIES_AT_BARRIER, argument=engine_args)
    assert ended.codes == [1, 3]
    assert "CaptureBarrierTimeout: capture barrier: rank 1 gone before verify bs=4" in ended.errors

"""A small pool, and prompts that begin alike: answers are the reference's all the same."""

from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.engine.engine import Engine
from harness.engine.oracles.greedy import NanDetected, check_greedy
from harness.engine.oracles.reference import Reference
from harness.engine.serving.commands import Prefill
from harness.engine.serving.running_worker import RunningWorker

EPSILON = 1e-3
SHARED = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
ALIKE = [[*SHARED, 20], [*SHARED, 21, 22], [*SHARED[:9], 2], SHARED, [*SHARED, 20]]


@pytest.fixture
def reference(models: Path) -> Reference:
    return Reference(str(models / "target"))


MODES: list[dict[str, object]] = [
    {},
    {"speculative": False},
    {"page_size": 4},
    {"spec_topk": 3, "spec_steps": 3, "spec_draft_tokens": 8, "page_size": 2},
]


@pytest.mark.parametrize("changes", MODES, ids=str)
def test_a_prefix_that_was_computed_is_not_computed_again(
    engine_args: dict[str, object], reference: Reference, changes: dict[str, object]
) -> None:
    with Engine.from_cell({**engine_args, **changes}) as engine:
        free = engine.free_pages
        answers = [answer for prompt in ALIKE for answer in engine.generate([prompt], 12)]
        assert engine.stats.shared_tokens >= 30
        answers += engine.generate(ALIKE, 12)
        check_greedy(reference, ALIKE * 2, answers, EPSILON)
        assert engine.free_pages == free


@pytest.mark.parametrize("changes", MODES, ids=str)
def test_requests_that_were_retracted_answer_as_if_they_had_not_been(
    engine_args: dict[str, object], reference: Reference, changes: dict[str, object]
) -> None:
    prompts = [[3 + i, 4, 5, 6 + i] for i in range(6)]
    small = {**engine_args, **changes, "max_running": 4, "max_total_tokens": 64}
    with Engine.from_cell(small) as engine:
        free = engine.free_pages
        answers = engine.generate(prompts, 24, return_logprob=True)
        assert engine.stats.retractions > 0
        check_greedy(reference, prompts, answers, EPSILON)
        assert all(len(answer.logprobs) == len(answer.tokens) for answer in answers)
        assert engine.free_pages == free


def test_turned_off_the_cache_shares_nothing(
    engine_args: dict[str, object], reference: Reference
) -> None:
    with Engine.from_cell({**engine_args, "prefix_cache": False}) as engine:
        answers = [answer for prompt in ALIKE for answer in engine.generate([prompt], 6)]
        assert engine.stats.shared_tokens == 0
        check_greedy(reference, ALIKE, answers, EPSILON)


def test_retracted_and_waiting_requests_can_be_aborted(engine_args: dict[str, object]) -> None:
    small = {**engine_args, "max_running": 4, "max_total_tokens": 64}
    with Engine.from_cell(small) as engine:
        free = engine.free_pages
        requests = [engine.submit([3 + i, 4, 5, 6], 24) for i in range(6)]
        while not engine.stats.retractions:
            engine.step()
        assert engine.abort_all() == sum(r.finish_reason == "abort" for r in requests) > 0
        assert not engine.step()
        assert engine.free_pages == free


def test_what_a_failed_prefill_left_is_never_shared(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.from_cell(engine_args) as engine:
        execute = RunningWorker.execute

        def spoil(worker: RunningWorker, command: Any) -> Any:
            result = execute(worker, command)
            return result * float("nan") if isinstance(command, Prefill) else result

        with monkeypatch.context() as patched:
            patched.setattr(RunningWorker, "execute", spoil)
            with pytest.raises(NanDetected):
                engine.generate([SHARED], 4)
        engine.abort_all()
        before = engine.stats.shared_tokens
        engine.generate([SHARED], 4)
        assert engine.stats.shared_tokens == before


def test_a_pool_too_small_for_one_request_is_refused(engine_args: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="max_total_tokens 16 cannot hold one request: give at"):
        Engine.from_cell({**engine_args, "max_total_tokens": 16})

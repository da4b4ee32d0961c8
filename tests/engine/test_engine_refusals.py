"""Engines that may not be, and what one refuses."""

import os

import pytest

from harness.core.errors import UsageError
from harness.engine.capture.recorded import RecordedMemory
from harness.engine.engine import Engine


def test_a_second_engine_waits_for_the_first_to_close(engine_args: dict[str, object]) -> None:
    with Engine.from_cell(engine_args), pytest.raises(UsageError, match="close it first"):
        Engine.from_cell(engine_args)
    Engine.from_cell(engine_args).close()


def test_a_failed_capture_leaves_no_engine_open(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("capture fails")

    with monkeypatch.context() as patch:
        patch.setattr(RecordedMemory, "capture", fail)
        with pytest.raises(RuntimeError, match="capture fails"):
            Engine.from_cell(engine_args)
    assert Engine.get_open() is None
    Engine.from_cell(engine_args).close()


def test_the_cell_in_the_environment_overrides_the_suites_arguments(
    engine_args: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CELL", '{"order": "ascending", "page_size": 2, "env:X": "1"}')
    assert "RANK" not in os.environ
    with Engine.from_cell(engine_args) as engine:
        assert (engine.config.page_size, engine.config.order) == (2, "ascending")


def test_a_prompt_outside_the_vocabulary_or_the_context_is_refused(
    engine_args: dict[str, object],
) -> None:
    with Engine.from_cell({**engine_args, "graphs": False}) as engine:
        for prompt, limit in (([29], 1), ([-1], 1), ([3] * 40, 1)):
            with pytest.raises(UsageError):
                engine.submit(prompt, limit)
        with pytest.raises(UsageError, match="score"):
            engine.score([3] * 30, [3] * 30)

"""What the process of one capture answers where the capture fails."""

import io
import json
import sys

import pytest
import torch

from harness.core.errors import UsageError
from harness.engine import capture_cost
from harness.engine.capture.arena import ArenaExhausted
from harness.engine.engine import Engine

#: FlashAttention 3's on an H200 near the end of its memory, shortened.
INSIDE = 'torch_call_dispatcher( "aten::new_empty", "", stack.data()) API call failed at\nops.h'


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: object) -> Engine:
        raise error

    monkeypatch.setattr(Engine, "from_cell", fail)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({})))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"),
        RuntimeError(INSIDE),
        ArenaExhausted("the arena of 1 bytes cannot hold 2 more"),
    ],
)
def test_a_size_that_does_not_fit_is_an_answer_in_the_words_of_what_failed(
    monkeypatch: pytest.MonkeyPatch, told: list[dict[str, object]], error: Exception
) -> None:
    failing(monkeypatch, error)
    assert capture_cost.main() == 0
    assert [(e["event"], e["text"]) for e in told] == [("unfit", str(error).splitlines()[0])]


def test_another_fault_is_no_size_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, told: list[dict[str, object]]
) -> None:
    failing(monkeypatch, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal"):
        capture_cost.main()
    assert told == []


def test_a_users_mistake_is_said_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, UsageError("max_bs 0: give 1 or more"))
    assert capture_cost.main() == 2
    assert capsys.readouterr().err == "max_bs 0: give 1 or more\n"

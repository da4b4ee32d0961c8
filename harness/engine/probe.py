"""Looking at captured steps: each replay beside an eager run, and how long one step takes.

Commands that every rank runs, as `steps` has those of serving; the functions below are rank 0's way
to them.
"""

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.engine.config import EngineConfig
from harness.engine.graphs.base import Outputs
from harness.engine.runner import GraphRunner, Role

if TYPE_CHECKING:
    from harness.engine.engine import Engine

_UNTIMED = 3


class Probe:
    """One rank's part."""

    def __init__(self, config: EngineConfig, runner: GraphRunner, vocab_size: int) -> None:
        self.differences: dict[str, float] = {}
        self._config = config
        self._runner = runner
        self._vocab_size = vocab_size
        self.operations: dict[str, Callable[..., Tensor | None]] = {
            "watch_replays": self._watch_replays,
            "time_step": self._time_step,
        }

    def _watch_replays(self) -> None:
        self._runner.watch = self._compare

    def _compare(self, role: Role, bs: int, raw_bs: int, outputs: Outputs) -> None:
        """Run the step again, eagerly and without padding rows, and keep the largest difference."""
        replayed = {name: output.clone() for name, output in outputs.items()}
        role.attention.prepare(role.inputs["page_table"][:raw_bs])
        eager = role.forward(raw_bs)
        # Other shapes may round otherwise, and a rounding may flip a choice between near-ties.
        compared = [n for n in replayed if raw_bs == bs or replayed[n].is_floating_point()]
        worst = max((_difference(replayed[n], eager[n]) for n in compared), default=0.0)
        key = f"{role.name}/{bs}"
        self.differences[key] = max(self.differences.get(key, 0.0), worst)
        for name, output in outputs.items():
            # The eager run may have written to a buffer that graphs share.
            output.copy_(replayed[name])

    def _time_step(self, role: str, bs: int, length: int, count: int, graphed: bool) -> Tensor:
        """Seconds of each of `count` steps of one token per row at `length` positions, float64."""
        step = self._runner.repeatable(role, self._values(bs, length), bs, graphed)
        for _ in range(_UNTIMED):
            step()
        on_cuda = self._config.device == "cuda"
        seconds = _event_seconds(step, count) if on_cuda else _wall_seconds(step, count)
        return torch.tensor(seconds, dtype=torch.float64)

    def _values(self, bs: int, length: int) -> dict[str, Tensor]:
        """Inputs of a decode step: every row has random pages of its own."""
        pages = 1 + torch.randperm(self._config.num_pages - 1)
        return {
            "tokens": torch.randint(self._vocab_size, (bs, 1)),
            "positions": torch.full((bs, 1), length - 1),
            "page_table": pages[: bs * self._config.pages_per_row].view(bs, -1),
        }


def _difference(replayed: Tensor, eager: Tensor) -> float:
    """The largest difference of two tensors; of whole numbers, 1 where any differs.

    NaN in either is infinitely far from anything.
    """
    if not replayed.is_floating_point():
        return float(not torch.equal(replayed, eager))
    far = (replayed.double() - eager.double()).abs().nan_to_num(nan=float("inf"))
    return float(far.max()) if far.numel() else 0.0


def _event_seconds(step: Callable[[], object], count: int) -> list[float]:
    marks: list[Any] = [
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch leaves it out
        for _ in range(count + 1)
    ]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1e3 for a, b in itertools.pairwise(marks)]


def _wall_seconds(step: Callable[[], object], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds


def watch_replays(engine: "Engine") -> dict[str, float]:
    """From now on compare each replay with an eager run on the same inputs, without padding rows.

    Answers a live mapping: `role/bs` to the largest difference seen on rank 0.
    """
    engine._command("watch_replays")
    return engine.probe.differences


def time_step(
    engine: "Engine", role: str, bs: int, length: int, count: int = 50, *, graphed: bool = True
) -> float:
    """Median seconds of a decode step on `bs` rows of `length` positions, device time on CUDA.

    Overwrites the KV pool. Raises UsageError where requests run, the sizes do not fit or the step
    was not captured.
    """
    config = engine.config
    if engine.busy or bs > config.max_running or not 0 < length <= config.max_context:
        raise UsageError(
            f"time_step: {bs} rows of {length} positions need an idle engine with max_running "
            f"{config.max_running} and max_context {config.max_context} at least as large"
        )
    seconds = engine._command(
        "time_step", role=role, bs=bs, length=length, count=count, graphed=graphed
    )
    assert isinstance(seconds, Tensor)
    return float(seconds.median())

"""Looks at captured steps on each rank: a replay beside an eager run, and how long one step takes.

Rank 0's way to it is `harness.engine.probe`.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.engine.capture.graph import Outputs
from harness.engine.capture.runner import GraphRunner, Role
from harness.engine.config import EngineConfig
from harness.engine.serving.commands import TimeStep, WatchReplays
from harness.engine.serving.steps import Operations

_UNTIMED = 3


class ReplayProbe:
    """One rank's part."""

    def __init__(self, config: EngineConfig, runner: GraphRunner, vocab_size: int) -> None:
        self.differences: dict[str, float] = {}
        self._config = config
        self._runner = runner
        self._vocab_size = vocab_size
        self.operations: Operations = {
            WatchReplays: self._watch_replays,
            TimeStep: self._time_step,
        }

    def _watch_replays(self, _: WatchReplays) -> None:
        self._runner.watch = self._compare

    def _compare(self, role: Role, bs: int, raw_bs: int, outputs: Outputs) -> None:
        """Run the step again, eagerly and without padding rows, and keep the largest difference."""
        replayed = {name: output.clone() for name, output in outputs.items()}
        role.attention.prepare(role.inputs["page_table"][:raw_bs])
        eager = role.forward(raw_bs)
        # Other shapes may round otherwise, and a rounding may flip a choice between near-ties.
        compared = [n for n in replayed if raw_bs == bs or replayed[n].is_floating_point()]
        worst = max((_measure_difference(replayed[n], eager[n]) for n in compared), default=0.0)
        key = f"{role.name}/{bs}"
        self.differences[key] = max(self.differences.get(key, 0.0), worst)
        for name, output in outputs.items():
            # The eager run may have written to a buffer that graphs share.
            output.copy_(replayed[name])

    def _time_step(self, command: TimeStep) -> Tensor:
        """Run `TimeStep`."""
        values = self._make_values(command.bs, command.length)
        step = self._runner.make_repeatable(command.role, values, command.bs, command.graphed)
        for _ in range(_UNTIMED):
            step()
        measure = _measure_events if self._config.device == "cuda" else _measure_wall
        return torch.tensor(measure(step, command.count), dtype=torch.float64)

    def _make_values(self, bs: int, length: int) -> dict[str, Tensor]:
        """Inputs of a decode step: every row has random pages of its own."""
        pages = 1 + torch.randperm(self._config.num_pages - 1)
        return {
            "tokens": torch.randint(self._vocab_size, (bs, 1)),
            "positions": torch.full((bs, 1), length - 1),
            "page_table": pages[: bs * self._config.pages_per_row].view(bs, -1),
        }


def _measure_difference(replayed: Tensor, eager: Tensor) -> float:
    """The largest difference of two tensors; of whole numbers, 1 where any differs.

    NaN in either is infinitely far from anything.
    """
    if not replayed.is_floating_point():
        return float(not torch.equal(replayed, eager))
    far = (replayed.double() - eager.double()).abs().nan_to_num(nan=float("inf"))
    return float(far.max()) if far.numel() else 0.0


def _measure_events(step: Callable[[], object], count: int) -> list[float]:
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


def _measure_wall(step: Callable[[], object], count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return seconds

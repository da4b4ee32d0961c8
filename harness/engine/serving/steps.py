"""The target's steps as each rank runs them, by the commands of rank 0."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend
from harness.engine.capture.runner import GraphRunner
from harness.engine.config import EngineConfig
from harness.engine.model.llama import Llama
from harness.engine.serving.commands import AssignPages, Command, Decode, Prefill, Score

Operations = dict[type[Command[Any]], Callable[[Any], Any]]


class TargetSteps:
    """One rank's page table between commands, by request row, and the target's steps over it."""

    def __init__(
        self,
        config: EngineConfig,
        target: Llama,
        prefill_attention: AttentionBackend,
        runner: GraphRunner,
        device: torch.device,
    ) -> None:
        self.prompt_hidden = torch.empty(0)
        """Hidden states of the last prefill, [rows, n, hidden]."""
        self.device = device
        self.operations: Operations = {
            AssignPages: self.assign_pages,
            Prefill: self.prefill,
            Score: self.score,
            Decode: self.decode,
        }
        self._target = target
        self._attention = prefill_attention
        self._runner = runner
        shape = (config.max_running, config.pages_per_row)
        self._page_table = torch.zeros(shape, device=device, dtype=torch.int64)

    def assign_pages(self, command: AssignPages) -> None:
        """Run `AssignPages`."""
        for row, owned in zip(command.rows, command.pages, strict=True):
            self._page_table[row].zero_()
            self._page_table[row, : len(owned)] = self.to_tensor(owned)

    def prefill(self, command: Prefill) -> Tensor:
        """Run `Prefill`."""
        page_table = self.get_pages(self.to_tensor(command.rows))
        self.prompt_hidden = self._run_prompts(command.tokens, command.starts, page_table)
        return self._target.logits(self.prompt_hidden[:, -1:])

    def score(self, command: Score) -> Tensor:
        """Run `Score`."""
        page_table = torch.zeros_like(self._page_table[:1])
        page_table[0, : len(command.pages)] = self.to_tensor(command.pages)
        return self._target.logits(self._run_prompts([command.tokens], [0], page_table))

    def _run_prompts(
        self, tokens: list[list[int]], starts: list[int], page_table: Tensor
    ) -> Tensor:
        self._attention.prepare(page_table)
        positions = self.list_positions(tokens, starts)
        return self._target.forward(self.to_tensor(tokens), positions, self._attention)

    def decode(self, command: Decode) -> Tensor:
        """Run `Decode`."""
        outputs = self._runner.run(
            "decode",
            {
                "tokens": self.to_tensor(command.tokens).unsqueeze(1),
                "positions": self.to_tensor(command.positions).unsqueeze(1),
                "page_table": self.get_pages(self.to_tensor(command.rows)),
            },
        )
        return outputs["logits"]

    def get_pages(self, rows: Tensor) -> Tensor:
        """Return the page table of some rows, [rows, pages_per_row]."""
        return self._page_table[rows]

    def list_positions(self, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Return the positions of rows of one length from their starts on, [rows, n]."""
        return self.to_tensor(starts).unsqueeze(1) + torch.arange(
            len(tokens[0]), device=self.device
        )

    def to_tensor(self, values: Sequence[int] | Sequence[list[int]]) -> Tensor:
        """Return numbers as an int64 tensor on this rank's device."""
        return torch.tensor(values, dtype=torch.int64, device=self.device)

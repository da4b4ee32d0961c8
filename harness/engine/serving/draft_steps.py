"""The steps of speculative decoding as each rank runs them, by the commands of rank 0.

Drafts stay on the device between the draft and the verify graph: the collectives give every rank
the same bits, so every rank drafts the same tokens.
"""

import torch
from torch import Tensor

from harness.core.speculation import SpecShape
from harness.engine.attention.base import AttentionBackend
from harness.engine.cache.pool import find_slots, move_slots
from harness.engine.capture.runner import GraphRunner
from harness.engine.config import EngineConfig
from harness.engine.serving.commands import DraftPrefill, Extend, Speculate
from harness.engine.serving.models import DraftedModels
from harness.engine.serving.steps import Operations, TargetSteps


class DraftSteps:
    """One rank's draft features between commands, by request row, and the steps over them."""

    def __init__(
        self,
        config: EngineConfig,
        models: DraftedModels,
        prefill_attention: AttentionBackend,
        runner: GraphRunner,
        target_steps: TargetSteps,
    ) -> None:
        self.operations: Operations = {
            DraftPrefill: self.draft_prefill,
            Speculate: self.speculate,
            Extend: self.extend,
        }
        self._spec: SpecShape = config.spec
        self._page_size = config.page_size
        self._head = models.head
        self._pool = models.pool
        self._attention = prefill_attention
        self._runner = runner
        self._rows = target_steps
        # Where each row's next drafts start.
        self._features = models.pool.new_zeros(config.max_running, 1, models.hidden_size)
        self._verify_hidden = self._features[:0]

    def draft_prefill(self, command: DraftPrefill) -> None:
        """Run `DraftPrefill`."""
        index = self._rows.to_tensor(command.rows)
        self._attention.prepare(self._rows.get_pages(index))
        features = self._head.forward(
            self._rows.to_tensor(command.tokens),
            self._rows.prompt_hidden,
            self._rows.list_positions(command.tokens, command.starts),
            self._attention,
        )
        self._features[index] = features[:, -1:]

    def speculate(self, command: Speculate) -> tuple[Tensor, Tensor, Tensor]:
        """Run `Speculate`."""
        index = self._rows.to_tensor(command.rows)
        starts = self._rows.to_tensor(command.positions).unsqueeze(1)
        page_table = self._rows.get_pages(index)
        drafted = self._runner.run(
            "draft",
            {"features": self._features[index], "positions": starts, "page_table": page_table},
        )
        # Copies: the verify graph may own the blocks that hold the drafts.
        drafts = torch.cat(
            [self._rows.to_tensor(command.tokens).unsqueeze(1), drafted["tokens"]], dim=1
        )
        inputs = {"tokens": drafts, "page_table": page_table}
        root = torch.zeros_like(starts)
        if self._spec.is_tree:
            inputs["positions"] = starts + torch.cat([root, drafted["depths"]], dim=1)
            inputs["parents"] = parents = torch.cat([root, drafted["parents"]], dim=1)
        else:
            inputs["positions"] = self._list_path(starts)
            parents = (inputs["positions"] - starts - 1).clamp(min=0)
        outputs = self._runner.run("verify", inputs)
        self._verify_hidden = outputs["hidden"]
        return outputs["logits"], drafts[:, 1:], parents[:, 1:]

    def extend(self, command: Extend) -> None:
        """Run `Extend`. A draft tree's nodes move to the slots of their positions first."""
        index = self._rows.to_tensor(command.rows)
        starts = self._rows.to_tensor(command.positions).unsqueeze(1)
        page_table, width = self._rows.get_pages(index), self._spec.path
        positions = self._list_path(starts)
        hidden = self._verify_hidden
        if self._spec.is_tree:
            nodes = self._rows.to_tensor([[*p, *range(len(p), width)] for p in command.paths])
            self._move_path(page_table, starts + nodes, positions)
            at = nodes.clamp(max=hidden.shape[1] - 1).unsqueeze(-1)
            hidden = hidden.gather(1, at.expand(-1, -1, hidden.shape[-1]))
        outputs = self._runner.run(
            "draft_extend",
            {
                "tokens": self._rows.to_tensor(
                    [[*row, *[0] * (width - len(row))] for row in command.tokens]
                ),
                "hidden": hidden,
                "positions": positions,
                "page_table": page_table,
            },
        )
        batch = torch.arange(len(command.rows), device=index.device)
        last = self._rows.to_tensor([len(path) - 1 for path in command.paths])
        self._features[index] = outputs["features"][batch, last].unsqueeze(1)

    def _move_path(self, page_table: Tensor, sources: Tensor, targets: Tensor) -> None:
        """Move accepted nodes to the slots of their positions; past a path all stays in place."""
        size = self._page_size
        move_slots(
            self._pool, find_slots(page_table, sources, size), find_slots(page_table, targets, size)
        )

    def _list_path(self, starts: Tensor) -> Tensor:
        """Return as many consecutive positions from [rows, 1] on as the longest path has."""
        return starts + torch.arange(self._spec.path, device=starts.device)

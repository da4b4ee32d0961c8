"""The steps that rank 0's commands name, as each rank runs them. All arguments are plain numbers.

Drafts stay on the device between the draft and the verify graph: the collectives give every rank
the same bits, so every rank drafts the same tokens.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend
from harness.engine.config import EngineConfig
from harness.engine.eagle import EagleHead
from harness.engine.kv import move_slots, slots_of
from harness.engine.model import Llama
from harness.engine.runner import GraphRunner


class Steps:
    """One rank's model between commands: page table rows and draft features, by request row."""

    def __init__(
        self,
        config: EngineConfig,
        target: Llama,
        head: EagleHead | None,
        prefill_attention: AttentionBackend,
        runner: GraphRunner,
        features: Tensor,
        pool: Tensor,
    ) -> None:
        """`features` is [max_running, 1, hidden]: where each row's next drafts start.

        `pool` is the target's, [layers, 2, slots, KV heads, head_dim].
        """
        self._config = config
        self._target = target
        self._head = head
        self._attention = prefill_attention
        self._runner = runner
        self._features = features
        self._pool = pool
        shape = (config.max_running, config.pages_per_row)
        self._page_table = torch.zeros(shape, device=features.device, dtype=torch.int64)
        self._prompt_hidden = features[:0]
        self._verify_hidden = features[:0]
        self.operations: dict[str, Callable[..., Tensor | tuple[Tensor, ...] | None]] = {
            "own": self.own,
            "prefill": self.prefill,
            "score": self.score,
            "draft_prefill": self.draft_prefill,
            "speculate": self.speculate,
            "extend": self.extend,
            "decode": self.decode,
        }

    def own(self, rows: list[int], pages: list[list[int]]) -> None:
        """Give each row exactly these pages."""
        for row, owned in zip(rows, pages, strict=True):
            self._page_table[row].zero_()
            self._page_table[row, : len(owned)] = self._numbers(owned)

    def prefill(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Compute as many tokens of each row, from the position on that `starts` gives.

        Logits [rows, 1, vocab], of what follows.
        """
        page_table = self._page_table[self._numbers(rows)]
        self._prompt_hidden = self._run_prompts(tokens, starts, page_table)
        return self._target.logits(self._prompt_hidden[:, -1:])

    def score(self, tokens: list[int], pages: list[int]) -> Tensor:
        """Run a prompt into borrowed pages. Logits of every position, [1, n, vocab]."""
        page_table = torch.zeros_like(self._page_table[:1])
        page_table[0, : len(pages)] = self._numbers(pages)
        return self._target.logits(self._run_prompts([tokens], [0], page_table))

    def _run_prompts(
        self, tokens: list[list[int]], starts: list[int], page_table: Tensor
    ) -> Tensor:
        self._attention.prepare(page_table)
        places = self._places(tokens, starts)
        return self._target.forward(self._numbers(tokens), places, self._attention)

    def draft_prefill(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> None:
        """Run the head over what was just prefilled; `tokens` are those one later."""
        assert self._head is not None
        index = self._numbers(rows)
        self._attention.prepare(self._page_table[index])
        places = self._places(tokens, starts)
        features = self._head.forward(
            self._numbers(tokens), self._prompt_hidden, places, self._attention
        )
        self._features[index] = features[:, -1:]

    def decode(self, rows: list[int], tokens: list[int], positions: list[int]) -> Tensor:
        """One token per row. Logits [rows, 1, vocab]."""
        outputs = self._runner.run(
            "decode",
            {
                "tokens": self._numbers(tokens).unsqueeze(1),
                "positions": self._numbers(positions).unsqueeze(1),
                "page_table": self._page_table[self._numbers(rows)],
            },
        )
        return outputs["logits"]

    def speculate(
        self, rows: list[int], tokens: list[int], positions: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draft after each row's last token, then verify.

        Logits [rows, nodes, vocab], and the drafts' tokens and parents, [rows, nodes - 1] each: a
        row's last token is node 0, its first draft node 1.
        """
        index, starts = self._numbers(rows), self._numbers(positions).unsqueeze(1)
        page_table = self._page_table[index]
        drafted = self._runner.run(
            "draft",
            {"features": self._features[index], "positions": starts, "page_table": page_table},
        )
        # Copies: the verify graph may own the blocks that the drafts stand in.
        drafts = self._with_root(drafted["tokens"], self._numbers(tokens).unsqueeze(1))
        inputs = {"tokens": drafts, "page_table": page_table}
        root = torch.zeros_like(starts)
        if self._config.spec.is_tree:
            inputs["positions"] = starts + self._with_root(drafted["depths"], root)
            inputs["parents"] = parents = self._with_root(drafted["parents"], root)
        else:
            inputs["positions"] = self._consecutive(starts)
            parents = (inputs["positions"] - starts - 1).clamp(min=0)
        outputs = self._runner.run("verify", inputs)
        self._verify_hidden = outputs["hidden"]
        return outputs["logits"], drafts[:, 1:], parents[:, 1:]

    def _with_root(self, drafts: Tensor, root: Tensor) -> Tensor:
        return torch.cat([root, drafts], dim=1)

    def extend(
        self,
        rows: list[int],
        tokens: list[list[int]],
        positions: list[int],
        paths: list[list[int]],
    ) -> None:
        """Run the head over the `tokens` that the last verify emitted.

        `paths`: the nodes that they followed, node 0 first, as many as tokens. A tree's nodes do
        not stand where their positions are: their keys and values move there.
        """
        index, starts = self._numbers(rows), self._numbers(positions).unsqueeze(1)
        page_table, width = self._page_table[index], self._config.spec.path
        places = self._consecutive(starts)
        hidden = self._verify_hidden
        if self._config.spec.is_tree:
            nodes = self._numbers([[*path, *range(len(path), width)] for path in paths])
            self._gather_path(page_table, starts + nodes, places)
            at = nodes.clamp(max=hidden.shape[1] - 1).unsqueeze(-1)
            hidden = hidden.gather(1, at.expand(-1, -1, hidden.shape[-1]))
        outputs = self._runner.run(
            "draft_extend",
            {
                "tokens": self._numbers([[*row, *[0] * (width - len(row))] for row in tokens]),
                "hidden": hidden,
                "positions": places,
                "page_table": page_table,
            },
        )
        batch = torch.arange(len(rows), device=index.device)
        last = self._numbers([len(path) - 1 for path in paths])
        self._features[index] = outputs["features"][batch, last].unsqueeze(1)

    def _gather_path(self, page_table: Tensor, sources: Tensor, targets: Tensor) -> None:
        """Move accepted nodes to where their positions are; past a path all stays in place."""
        size = self._config.page_size
        move_slots(
            self._pool, slots_of(page_table, sources, size), slots_of(page_table, targets, size)
        )

    def _consecutive(self, starts: Tensor) -> Tensor:
        """[rows, 1] first positions to as many in a row as the longest path has."""
        return starts + torch.arange(self._config.spec.path, device=starts.device)

    def _places(self, tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Positions of rows of one length from their starts on, [rows, n]."""
        return self._numbers(starts).unsqueeze(1) + torch.arange(
            len(tokens[0]), device=self._features.device
        )

    def _numbers(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._features.device)

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
    ) -> None:
        """`features` is [max_running, 1, hidden]: where each row's next draft chain starts."""
        self._config = config
        self._target = target
        self._head = head
        self._attention = prefill_attention
        self._runner = runner
        self._features = features
        shape = (config.max_running, config.pages_per_row)
        self._page_table = torch.zeros(shape, device=features.device, dtype=torch.int64)
        self._prompt_hidden = features[:0]
        self._verify_hidden = features[:0]
        self.operations: dict[str, Callable[..., Tensor | tuple[Tensor, Tensor] | None]] = {
            "prefill": self.prefill,
            "score": self.score,
            "draft_prefill": self.draft_prefill,
            "speculate": self.speculate,
            "extend": self.extend,
            "decode": self.decode,
        }

    def prefill(self, rows: list[int], tokens: list[list[int]], pages: list[list[int]]) -> Tensor:
        """Run prompts of one length into `pages`, which `rows` own from now on.

        Logits [rows, 1, vocab], of what follows each prompt.
        """
        for row, owned in zip(rows, pages, strict=True):
            self._page_table[row].zero_()
            self._page_table[row, : len(owned)] = self._numbers(owned)
        self._prompt_hidden = self._run_prompts(tokens, self._page_table[self._numbers(rows)])
        return self._target.logits(self._prompt_hidden[:, -1:])

    def score(self, tokens: list[int], pages: list[int]) -> Tensor:
        """Run a prompt into borrowed pages. Logits of every position, [1, n, vocab]."""
        page_table = torch.zeros_like(self._page_table[:1])
        page_table[0, : len(pages)] = self._numbers(pages)
        return self._target.logits(self._run_prompts([tokens], page_table))

    def _run_prompts(self, tokens: list[list[int]], page_table: Tensor) -> Tensor:
        self._attention.prepare(page_table)
        return self._target.forward(self._numbers(tokens), self._places(tokens), self._attention)

    def draft_prefill(self, rows: list[int], tokens: list[list[int]]) -> None:
        """Run the head over the prompts just prefilled; `tokens` are those one later."""
        assert self._head is not None
        index = self._numbers(rows)
        self._attention.prepare(self._page_table[index])
        features = self._head.forward(
            self._numbers(tokens), self._prompt_hidden, self._places(tokens), self._attention
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
    ) -> tuple[Tensor, Tensor]:
        """Draft after each row's last token, then verify. Logits [rows, n, vocab] and drafts."""
        index, starts = self._numbers(rows), self._numbers(positions).unsqueeze(1)
        page_table = self._page_table[index]
        drafts = self._runner.run(
            "draft",
            {"features": self._features[index], "positions": starts, "page_table": page_table},
        )["tokens"]
        # A copy: the verify graph may own the block that the drafts stand in.
        proposed = torch.cat([self._numbers(tokens).unsqueeze(1), drafts], dim=1)
        outputs = self._runner.run(
            "verify",
            {
                "tokens": proposed,
                "positions": self._consecutive(starts),
                "page_table": page_table,
            },
        )
        self._verify_hidden = outputs["hidden"]
        return outputs["logits"], proposed[:, 1:]

    def extend(
        self, rows: list[int], tokens: list[list[int]], positions: list[int], emitted: list[int]
    ) -> None:
        """Run the head over what the last verify emitted: `emitted` of each row's `tokens`."""
        index = self._numbers(rows)
        outputs = self._runner.run(
            "draft_extend",
            {
                "tokens": self._numbers(tokens),
                "hidden": self._verify_hidden,
                "positions": self._consecutive(self._numbers(positions).unsqueeze(1)),
                "page_table": self._page_table[index],
            },
        )
        batch = torch.arange(len(rows), device=index.device)
        self._features[index] = outputs["features"][batch, self._numbers(emitted) - 1].unsqueeze(1)

    def _consecutive(self, starts: Tensor) -> Tensor:
        """[rows, 1] first positions to [rows, query_len]."""
        return starts + torch.arange(self._config.query_len, device=starts.device)

    def _places(self, tokens: list[list[int]]) -> Tensor:
        """Positions from 0 of rows of one length, [rows, n]."""
        length = len(tokens[0])
        return torch.arange(length, device=self._features.device).expand(len(tokens), -1)

    def _numbers(self, values: object) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._features.device)

"""The captured steps: their static inputs and what each computes on them."""

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend
from harness.engine.cache.pool import find_slots
from harness.engine.capture.graph import Outputs
from harness.engine.capture.runner import Role
from harness.engine.config import EngineConfig
from harness.engine.model.llama import Llama
from harness.engine.speculation.draft_tree import find_branches
from harness.engine.speculation.eagle_head import EagleHead


def make_target_role(
    config: EngineConfig, target: Llama, attention: AttentionBackend, device: torch.device
) -> Role:
    """Make `verify`, of the last token and a chain of drafts; without speculation `decode`, of one.

    Answers `logits` [bs, n, vocab] for n = `config.query_len`, `verify` also `hidden`, [bs, n,
    hidden]. A graph keeps its outputs alive: `decode` therefore returns no hidden states.
    """
    count = config.query_len
    inputs = _make_numbers(
        config, device, tokens=count, positions=count, page_table=config.pages_per_row
    )

    def forward(bs: int) -> Outputs:
        hidden = target.forward(inputs["tokens"][:bs], inputs["positions"][:bs], attention)
        logits = target.write_logits(hidden)
        return {"logits": logits, "hidden": hidden} if config.speculative else {"logits": logits}

    name = "verify" if config.speculative else "decode"
    return Role(name, config.decode_backend, attention, inputs, forward)


def make_verify_tree_role(
    config: EngineConfig, target: Llama, attention: AttentionBackend, device: torch.device
) -> Role:
    """Make `verify`, of the last token, node 0, and a draft tree. Answers as `make_target_role`.

    `positions` are those in the text, the first one node 0's; `parents` are numbers of nodes. Node
    i's keys and values go to the slot of node 0's position + i.
    """
    spec, page_size = config.spec, config.page_size
    inputs = _make_numbers(
        config, device,
        tokens=spec.nodes, positions=spec.nodes, parents=spec.nodes,
        page_table=config.pages_per_row,
    )  # fmt: skip

    def forward(bs: int) -> Outputs:
        tokens, positions, parents, page_table = (tensor[:bs] for tensor in inputs.values())
        start = positions[:, :1]
        branches = find_branches(
            parents, positions - start, start, page_table, page_size, spec.path
        )
        places = start + torch.arange(spec.nodes, device=device)
        writes = find_slots(page_table, places, page_size)
        attention.bind_branches(start.squeeze(1), writes, branches)
        hidden = target.forward_bound(tokens, positions, attention)
        return {"logits": target.write_logits(hidden), "hidden": hidden}

    return Role("verify", config.decode_backend, attention, inputs, forward)


def make_draft_role(
    config: EngineConfig, head: EagleHead, attention: AttentionBackend, features: Tensor
) -> Role:
    """Make `draft`: a chain of `spec_steps` tokens or a draft tree. `features`: any, of its kind.

    Answers `tokens` [bs, drafts]; of a tree also `parents` and `depths`, as `Tree` has them.
    """
    spec = config.spec
    inputs = {
        **_make_numbers(config, features.device, positions=1, page_table=config.pages_per_row),
        "features": features.new_zeros(config.max_bs, 1, features.shape[-1]),
    }

    def forward(bs: int) -> Outputs:
        features, positions = inputs["features"][:bs], inputs["positions"][:bs]
        if not spec.is_tree:
            return {"tokens": head.chain(features, positions, spec.steps, attention)}
        pages = inputs["page_table"][:bs]
        tree = head.draft_tree(features, positions, pages, config.page_size, spec, attention)
        return {"tokens": tree.tokens, "parents": tree.parents, "depths": tree.depths}

    return Role("draft", config.draft_backend, attention, inputs, forward)


def make_draft_extend_role(
    config: EngineConfig, head: EagleHead, attention: AttentionBackend, features: Tensor
) -> Role:
    """Make `draft_extend`: the head over what verify accepted.

    Answers `features` [bs, n, hidden].
    """
    count = config.spec.path
    inputs = {
        **_make_numbers(
            config,
            features.device,
            tokens=count,
            positions=count,
            page_table=config.pages_per_row,
        ),
        "hidden": features.new_zeros(config.max_bs, count, features.shape[-1]),
    }

    def forward(bs: int) -> Outputs:
        tokens, hidden = inputs["tokens"][:bs], inputs["hidden"][:bs]
        return {"features": head.forward(tokens, hidden, inputs["positions"][:bs], attention)}

    return Role("draft_extend", config.draft_backend, attention, inputs, forward)


def _make_numbers(config: EngineConfig, device: torch.device, **widths: int) -> dict[str, Tensor]:
    """Zeroed int64 inputs [max_bs, width]."""
    return {
        name: torch.zeros(config.max_bs, width, device=device, dtype=torch.int64)
        for name, width in widths.items()
    }

"""The captured steps: their static inputs and what each computes on them."""

import torch
from torch import Tensor

from harness.engine.attention.base import AttentionBackend
from harness.engine.config import EngineConfig
from harness.engine.eagle import EagleHead
from harness.engine.graphs.base import Outputs
from harness.engine.model import Llama
from harness.engine.runner import Role


def target_role(
    config: EngineConfig, target: Llama, attention: AttentionBackend, device: torch.device
) -> Role:
    """`verify`, of the last token and its drafts; without speculation `decode`, of one token.

    Answers `logits` [bs, n, vocab] and `hidden` [bs, n, hidden] for n = `config.query_len`.
    """
    count = config.query_len
    inputs = _numbers(
        config, device, tokens=count, positions=count, page_table=config.pages_per_row
    )

    def forward(bs: int) -> Outputs:
        hidden = target.forward(inputs["tokens"][:bs], inputs["positions"][:bs], attention)
        return {"logits": target.shared_logits(hidden), "hidden": hidden}

    name = "verify" if config.speculative else "decode"
    return Role(name, config.decode_backend, attention, inputs, forward)


def draft_role(
    config: EngineConfig,
    head: EagleHead,
    attention: AttentionBackend,
    device: torch.device,
    hidden_size: int,
    dtype: torch.dtype,
) -> Role:
    """`draft`: a chain of `spec_steps` tokens. Answers `tokens` [bs, spec_steps]."""
    inputs = {
        **_numbers(config, device, positions=1, page_table=config.pages_per_row),
        "features": torch.zeros(config.max_bs, 1, hidden_size, device=device, dtype=dtype),
    }

    def forward(bs: int) -> Outputs:
        features, positions = inputs["features"][:bs], inputs["positions"][:bs]
        return {"tokens": head.chain(features, positions, config.spec_steps, attention)}

    return Role("draft", config.draft_backend, attention, inputs, forward)


def draft_extend_role(
    config: EngineConfig,
    head: EagleHead,
    attention: AttentionBackend,
    device: torch.device,
    hidden_size: int,
    dtype: torch.dtype,
) -> Role:
    """`draft_extend`: the head over what verify accepted. Answers `features` [bs, n, hidden]."""
    count = config.query_len
    inputs = {
        **_numbers(config, device, tokens=count, positions=count, page_table=config.pages_per_row),
        "hidden": torch.zeros(config.max_bs, count, hidden_size, device=device, dtype=dtype),
    }

    def forward(bs: int) -> Outputs:
        tokens, hidden = inputs["tokens"][:bs], inputs["hidden"][:bs]
        return {"features": head.forward(tokens, hidden, inputs["positions"][:bs], attention)}

    return Role("draft_extend", config.draft_backend, attention, inputs, forward)


def _numbers(config: EngineConfig, device: torch.device, **widths: int) -> dict[str, Tensor]:
    """Zeroed int64 inputs [max_bs, width]."""
    return {
        name: torch.zeros(config.max_bs, width, device=device, dtype=torch.int64)
        for name, width in widths.items()
    }

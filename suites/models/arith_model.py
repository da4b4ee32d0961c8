"""The tiny target and its EAGLE head in plain torch, as `train_arith.py` trains them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

CHARACTERS = ["<pad>", "\n", *"0123456789", *"+=,;", *[f"<unused{i}>" for i in range(16)]]
HIDDEN, INTERMEDIATE, HEADS, HEAD_DIM, LAYERS = 128, 384, 8, 64, 3
EPS, THETA, MAX_LEN = 1e-5, 10000.0, 160


class RMSNorm(nn.Module):
    """Root-mean-square norm with a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (HIDDEN,), self.weight, EPS)


class Attention(nn.Module):
    """Causal attention with rotate-half RoPE."""

    def __init__(self) -> None:
        super().__init__()
        width = HEADS * HEAD_DIM
        self.q_proj = nn.Linear(HIDDEN, width, bias=False)
        self.k_proj = nn.Linear(HIDDEN, width, bias=False)
        self.v_proj = nn.Linear(HIDDEN, width, bias=False)
        self.o_proj = nn.Linear(width, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, _ = x.shape
        q, k, v = (
            p(x).view(rows, length, HEADS, HEAD_DIM).transpose(1, 2)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        out = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        made: Tensor = self.o_proj(out.transpose(1, 2).reshape(rows, length, -1))
        return made


def rotate(x: Tensor) -> Tensor:
    """Apply RoPE to [rows, heads, length, head_dim]; positions count from 0."""
    half = HEAD_DIM // 2
    frequency = THETA ** (-torch.arange(half) / half)
    angle = torch.outer(torch.arange(x.shape[2]).float(), frequency)
    cos, sin = angle.cos().repeat(1, 2), angle.sin().repeat(1, 2)
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cos + turned * sin


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.up_proj = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.down_proj = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return made


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(), RMSNorm()
        self.self_attn, self.mlp = Attention(), MLP()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        made: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return made


class Body(nn.Module):
    """What Hugging Face calls `model`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(len(CHARACTERS), HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm()

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        made: Tensor = self.norm(x)
        return made


class Target(nn.Module):
    """The target: features after the final norm, logits through lm_head."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Body()
        self.lm_head = nn.Linear(HIDDEN, len(CHARACTERS), bias=False)


class Draft(nn.Module):
    """The EAGLE head."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.layers = nn.ModuleList([Layer()])

    def forward(self, embedded: Tensor, features: Tensor) -> Tensor:
        made: Tensor = self.layers[0](self.fc(torch.cat([embedded, features], -1)))
        return made

"""Train the tiny target and its EAGLE head, and measure both on held-out problems.

    python suites/models/train_arith.py --out suites/models/arith

Plain torch, seeded. The target writes worked two-digit additions ("37+58=" gives
"7+8=15,1+3+5=9;95"), so accuracy, accept length, logprobs and parity are real oracles.

Conventions that the engine relies on: Hugging Face Llama names and rotate-half RoPE; the feature is
the hidden state after the final norm; the draft's entry for (token[t+1], feature[t]) stands at
position t, and its output goes to the target's lm_head as it is.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from arith_model import (
    CHARACTERS,
    EPS,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    INTERMEDIATE,
    LAYERS,
    MAX_LEN,
    THETA,
    Draft,
    Target,
)  # fmt: skip
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

EOS = CHARACTERS.index("\n")
HELD_OUT = 200
DRAFT_STEPS = 4


def worked(a: int, b: int) -> tuple[str, str]:
    """The prompt and the worked answer of one problem."""
    (a1, a0), (b1, b0) = divmod(a, 10), divmod(b, 10)
    carry = (a0 + b0) // 10
    return f"{a}+{b}=", f"{a0}+{b0}={a0 + b0};{carry}+{a1}+{b1}={carry + a1 + b1};{a + b}\n"


def encode(text: str) -> list[int]:
    """Token ids of a text."""
    return [CHARACTERS.index(c) for c in text]


def split(seed: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """All pairs of two-digit numbers, as (training, held out)."""
    pairs = list(itertools.product(range(10, 100), range(10, 100)))
    random.Random(seed).shuffle(pairs)
    return pairs[HELD_OUT:], pairs[:HELD_OUT]


def batch_of(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Tokens [rows, length] of problem and answer, and the mask of answer targets."""
    texts = [worked(a, b) for a, b in pairs]
    rows = [encode(prompt + answer) for prompt, answer in texts]
    length = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[len(p) <= i < len(p) + len(a) for i in range(length)] for p, a in texts])
    return tokens, mask


def train_target(pairs: list[tuple[int, int]], steps: int) -> Target:
    """AdamW on the answers' cross-entropy, cosine schedule."""
    target = Target()
    for step, tokens, mask, optimiser in epochs(target, pairs, steps, 3e-3):
        logits = target.lm_head(target.model(tokens))
        loss = F.cross_entropy(logits[:, :-1][mask[:, 1:]], tokens[:, 1:][mask[:, 1:]])
        advance(loss, target, optimiser)
        if step % 200 == 0:
            print(f"target {step}: loss {loss.item():.4f}", flush=True)
    return target


def train_draft(target: Target, pairs: list[tuple[int, int]], steps: int) -> Draft:
    """Regress features and match tokens, unrolled over the head's own features."""
    draft = Draft()
    for step, tokens, mask, optimiser in epochs(draft, pairs, steps, 2e-3):
        with torch.no_grad():
            features = target.model(tokens)
            embedded = target.model.embed_tokens(tokens)
        loss = torch.zeros(())
        given = features[:, :-2]
        # After round r, entry t's feature has come through the head r times.
        for round_ in range(3):
            made = draft(embedded[:, 1:-1], given)
            hit = mask[:, 2:]
            loss = loss + 0.5**round_ * (
                F.cross_entropy(target.lm_head(made)[hit], tokens[:, 2:][hit])
                + 0.5 * F.smooth_l1_loss(made[hit], features[:, 1:-1][hit])
            )
            given = torch.cat([features[:, :1], made[:, :-1]], 1)
        advance(loss, draft, optimiser)
        if step % 200 == 0:
            print(f"draft {step}: loss {loss.item():.4f}", flush=True)
    return draft


def epochs(
    module: nn.Module, pairs: list[tuple[int, int]], steps: int, rate: float
) -> Iterator[tuple[int, Tensor, Tensor, torch.optim.Optimizer]]:
    """Yield (step, tokens, mask, optimiser) with warm-up and cosine decay."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1)
    for step in range(steps):
        yield step, *batch_of(random.sample(pairs, 96)), optimiser
        schedule.step()


def advance(loss: Tensor, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """One optimiser step."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()


@torch.no_grad()
def accuracy(target: Target, pairs: list[tuple[int, int]]) -> float:
    """Share of problems whose whole worked answer is the greedy continuation."""
    tokens, mask = batch_of(pairs)
    best = target.lm_head(target.model(tokens))[:, :-1].argmax(-1)
    right = (best == tokens[:, 1:]) | ~mask[:, 1:]
    return float(right.all(1).float().mean())


@torch.no_grad()
def accept_length(target: Target, draft: Draft, pairs: list[tuple[int, int]]) -> float:
    """Mean tokens per verify step (accepted drafts and one more) of a greedy chain."""
    made, steps = 0, 0
    for prompt, answer in (worked(a, b) for a, b in pairs):
        known, goal = encode(prompt + answer[0]), encode(prompt + answer)
        while len(known) < len(goal):
            drafted = chain(target, draft, known)
            expected = goal[len(known) :]
            accepted = next(
                (i for i, d in enumerate(drafted) if i >= len(expected) or d != expected[i]),
                DRAFT_STEPS,
            )
            made, steps = made + accepted + 1, steps + 1
            known = goal[: len(known) + accepted + 1]
    return made / steps


def chain(target: Target, draft: Draft, known: list[int]) -> list[int]:
    """Draft DRAFT_STEPS tokens after `known`, whose last token the target has not seen."""
    tokens = torch.tensor([known])
    features = target.model(tokens[:, :-1])
    drafted: list[int] = []
    for _ in range(DRAFT_STEPS):
        embedded = target.model.embed_tokens(torch.tensor([known[1:] + drafted]))
        made = draft(embedded, features)
        drafted.append(int(target.lm_head(made[:, -1]).argmax()))
        features = torch.cat([features, made[:, -1:]], 1)
    return drafted


def save(module: nn.Module, folder: Path, **extra: object) -> None:
    """Write a Hugging Face folder: config.json and bf16 safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in module.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": len(CHARACTERS),
        "rms_norm_eps": EPS,
        "rope_theta": THETA,
        "max_position_embeddings": MAX_LEN,
        "tie_word_embeddings": False,
        "eos_token_id": EOS,
        "pad_token_id": 0,
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
        **extra,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def rounded(module: nn.Module) -> None:
    """Measure what is saved: weights as bf16 holds them."""
    for parameter in module.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target-steps", type=int, default=1000)
    parser.add_argument("--draft-steps", type=int, default=1200)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    started = time.perf_counter()
    training, held_out = split(options.seed)
    target = train_target(training, options.target_steps)
    rounded(target)
    print(f"held-out accuracy {accuracy(target, held_out):.3f}", flush=True)
    save(target, options.out / "target", architectures=["LlamaForCausalLM"],
         model_type="llama", num_hidden_layers=LAYERS)  # fmt: skip
    draft = train_draft(target.requires_grad_(False), training, options.draft_steps)
    rounded(draft)
    save(draft, options.out / "draft", architectures=["EagleDraft"], num_hidden_layers=1,
         target_vocab_size=len(CHARACTERS), feature="post_norm")  # fmt: skip
    (options.out / "vocab.json").write_text(json.dumps(CHARACTERS) + "\n")
    (options.out / "heldout.json").write_text(json.dumps(held_out) + "\n")
    print(f"accept length {accept_length(target, draft, held_out):.2f} of {DRAFT_STEPS + 1}, "
          f"held-out accuracy {accuracy(target, held_out):.3f}, "
          f"{time.perf_counter() - started:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()

"""How far apart two correct computations of one logit may lie, per dtype.

Derived, so that the bound follows the dtype: some roundings of the largest logit. Against the
reference, over 64 prompts cut open and sampled at temperature 1 (CPU, 2026-11-23), logprobs
lay 1.4e-5 apart at worst in float32, 15 roundings, and 0.12 in bfloat16, 2 roundings. Wrong output
is of another size: the model's smallest top-2 gap in an answer is 6.6.
"""

import torch

#: The tiny model's logits stay below 13; rounded up to a power of two, where the spacing changes.
LARGEST_LOGIT = 16.0

#: Four times what was measured; float16 rounds the products that bfloat16 does.
_ROUNDINGS = {"float32": 64, "bfloat16": 8, "float16": 8}


def rounding(dtype: str) -> float:
    """The largest difference that is rounding and not corruption."""
    unit: float = torch.finfo(getattr(torch, dtype)).eps / 2
    return _ROUNDINGS[dtype] * LARGEST_LOGIT * unit

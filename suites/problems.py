"""Held-out additions that the tiny model has never seen, drawn by the attempt's seed."""

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parent / "models" / "arith"

#: Longest worked answer, in tokens: "9+9=18;1+9+9=19;198\n".
ANSWER_TOKENS = 20

_VOCABULARY: list[str] = json.loads((MODELS / "vocab.json").read_text(encoding="utf-8"))
_IDS = {character: index for index, character in enumerate(_VOCABULARY)}


@dataclass(frozen=True)
class Problem:
    """One addition: its prompt as tokens, and the sum that the worked answer must end with."""

    prompt: list[int]
    total: int


def attempt_random(salt: str) -> random.Random:
    """A generator that follows from the attempt's seed and the caller's name alone."""
    return random.Random(f"{os.environ.get('HARNESS_SEED', '0')}/{salt}")


def draw(count: int, salt: str) -> list[Problem]:
    """`count` different held-out problems."""
    pairs = json.loads((MODELS / "heldout.json").read_text(encoding="utf-8"))
    return [
        Problem(encode(f"{a}+{b}="), a + b) for a, b in attempt_random(salt).sample(pairs, count)
    ]


def draw_open(count: int, salt: str) -> list[list[int]]:
    """Prompts of `count` held-out problems cut before the `+`.

    What follows is a guess, so drafts are rejected at varying lengths, and log-probabilities are
    far enough from 0 to differ: those of an answer that the model is sure of are not.
    """
    return [problem.prompt[: problem.prompt.index(_IDS["+"])] for problem in draw(count, salt)]


def encode(text: str) -> list[int]:
    """Token ids of a text."""
    return [_IDS[character] for character in text]


def decode(tokens: list[int]) -> str:
    """The text of token ids."""
    return "".join(_VOCABULARY[token] for token in tokens)


def is_right(problem: Problem, tokens: list[int]) -> bool:
    """Whether the worked answer ends with the right sum and a newline."""
    return decode(tokens).endswith(f";{problem.total}\n")

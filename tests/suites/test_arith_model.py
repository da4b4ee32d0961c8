"""The checked-in model is what its README says, and the oracles on it can fail."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import problems
import pytest
from tolerances import LARGEST_LOGIT, rounding

from harness.engine.engine import Engine
from harness.engine.oracles.reference import Reference

SUITES = Path(__file__).parents[2] / "suites"
ARITH = SUITES / "models" / "arith"


@pytest.fixture(scope="module")
def training() -> Iterator[ModuleType]:
    """The script that trained the model; its folder is on the path, as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SUITES / "models")
        yield importlib.import_module("train_arith")


def test_held_out_pairs_are_the_seeded_split_and_not_trained_on(training: ModuleType) -> None:
    trained, held_out = training.split(0)
    stored = [tuple(pair) for pair in json.loads((ARITH / "heldout.json").read_text())]
    assert stored == held_out
    assert not set(stored) & set(trained)


def test_the_reference_works_out_the_held_out_sums(training: ModuleType) -> None:
    reference = Reference(str(ARITH / "target"))
    pairs = json.loads((ARITH / "heldout.json").read_text())
    texts = [training.worked(a, b) for a, b in pairs]
    rows = [problems.encode(prompt + answer) for prompt, answer in texts]
    right, largest = 0, 0.0
    for (prompt, _), row, logits in zip(texts, rows, reference.logits(rows), strict=True):
        right += logits[len(prompt) - 1 : -1].argmax(-1).tolist() == row[len(prompt) :]
        largest = max(largest, float(logits.abs().max()))
    assert right / len(pairs) >= 0.98
    assert largest < LARGEST_LOGIT


def test_the_engine_answers_and_its_drafts_are_accepted() -> None:
    drawn = problems.draw(24, "model test")
    arguments = {
        "model": str(ARITH / "target"),
        "draft_model": str(ARITH / "draft"),
        "cuda_graph_bs": [8],
        "max_context": 48,
    }
    with Engine.from_cell(arguments, {}) as engine:
        answers = engine.generate([p.prompt for p in drawn], problems.ANSWER_TOKENS)
        assert engine.stats.mean_accept_length > 4
    right = [problems.is_right(p, a.tokens) for p, a in zip(drawn, answers, strict=True)]
    assert sum(right) >= 23


def test_guesses_are_uncertain_where_answers_are_sure() -> None:
    """Else decoding and rescoring could hardly differ, whatever rows were mixed up."""
    reference = Reference(str(ARITH / "target"))
    sure = [problem.prompt for problem in problems.draw(20, "sure")]
    guesses = problems.draw_open(20, "guesses")
    worst, least = (
        max(-row[-1].log_softmax(-1).max().item() for row in reference.logits(prompts))
        for prompts in (guesses, sure)
    )
    assert least < 1e-3
    assert worst > 0.1


def test_tolerances_stay_far_below_the_gaps_of_answers() -> None:
    assert rounding("float32") < 1e-4
    assert rounding("bfloat16") == 0.5


def test_the_draft_says_which_feature_it_reads() -> None:
    assert json.loads((ARITH / "draft/config.json").read_text())["feature"] == "post_norm"

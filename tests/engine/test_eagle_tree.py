"""Trees in the whole engine, in recorded graphs, against float64 models written apart from it."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.core.errors import UsageError
from harness.core.speculation import SpecShape
from harness.engine.engine import Engine
from harness.engine.oracles.greedy import check_greedy
from harness.engine.oracles.reference import Reference
from harness.engine.serving.commands import Speculate
from harness.engine.serving.ranks import Ranks
from tests.engine.conftest import save_draft, save_target
from tests.engine.ranks import run_ranks
from tests.engine.test_draft_tree import searched

ARITH = Path(__file__).parents[2] / "suites" / "models" / "arith"
PROMPTS = [[3, 4, 5], [7], [9, 10, 11, 12], [2, 2, 2], [8, 9], [20, 3, 3]]
#: float32 against float64.
ROUNDING = 1e-3


def arith_args(**changes: object) -> dict[str, object]:
    """The trained model, whose drafts are accepted: paths are long, and their slots move."""
    return {
        "model": str(ARITH / "target"),
        "draft_model": str(ARITH / "draft"),
        "max_context": 48,
        "cuda_graph_bs": [1, 4],
        "max_running": 4,
        "order": "descending",
        **changes,
    }


def sums(*texts: str) -> list[list[int]]:
    """Prompts for the trained model; one without a `+` is a guess, whose drafts fail."""
    vocabulary = json.loads((ARITH / "vocab.json").read_text())
    return [[vocabulary.index(character) for character in text] for text in texts]


SUMS = sums("12+34=", "7", "905+78=", "4+4=", "63")


class Speculated:
    """What one step drafted and computed, per running request."""

    def __init__(self, texts: list[list[int]], result: tuple[Tensor, Tensor, Tensor]) -> None:
        self.texts = texts
        self.logits, self.drafts, self.parents = (tensor.clone() for tensor in result)

    def paths(self, row: int) -> list[tuple[int, ...]]:
        """Per node, the drafts from below the root to it."""
        nodes: list[tuple[int, ...]] = [()]
        pairs = zip(self.drafts[row].tolist(), self.parents[row].tolist(), strict=True)
        for token, parent in pairs:
            nodes.append((*nodes[parent], token))
        return nodes


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Speculated]:
    """Every speculative step, as it happens."""
    seen: list[Speculated] = []
    run = Ranks.run

    def spy(self: Ranks, command: Any) -> Any:
        result = run(self, command)
        engine = Engine.get_open()
        if isinstance(command, Speculate) and engine is not None:
            texts = [[*request.prompt, *request.tokens] for request in engine.running]
            seen.append(Speculated(texts, result))
        return result

    monkeypatch.setattr(Ranks, "run", spy)
    return seen


class PlainHead(Reference):
    """The draft head in float64: one layer, no cache, every branch from the start."""

    def __init__(self, target: Reference, folder: str) -> None:
        super().__init__(folder, torch.float64)
        self._target = target

    @torch.inference_mode()
    def oracle(self, text: list[int], path: tuple[int, ...]) -> Tensor:
        """Log-probabilities, [vocab], of what follows `path` after a text."""
        embedding, head = (self._target._weight(name) for name in ("model.embed_tokens", "lm_head"))
        features = self._target.hidden(text)[:-1]
        for end in range(len(text), len(text) + len(path) + 1):
            tokens = torch.tensor([*text, *path][1:end])
            states = torch.cat([embedding[tokens], features], dim=-1) @ self._weight("fc").T
            normed = self._norm(states, "layers.0.input_layernorm")
            states = states + self._attention(normed, "layers.0.self_attn")
            normed = self._norm(states, "layers.0.post_attention_layernorm")
            states = states + self._mlp(normed, "layers.0.mlp")
            # Past the text the head's own state stands in for the target's feature.
            features = torch.cat([features, states[-1:]])
        return (states[-1] @ head.T).log_softmax(-1)


def check_verified(reference: Reference, step: Speculated) -> None:
    """Every node's logits are the reference's after the text and the node's own path."""
    for row, text in enumerate(step.texts):
        paths = step.paths(row)
        leaves = sorted(set(paths) - {path[:-1] for path in paths})
        wanted: dict[tuple[int, ...], Tensor] = {}
        for leaf, logits in zip(
            leaves, reference.logits([[*text, *leaf] for leaf in leaves]), strict=True
        ):
            wanted |= {leaf[:end]: logits[len(text) + end - 1] for end in range(len(leaf) + 1)}
        torch.testing.assert_close(
            step.logits[row].double(),
            torch.stack([wanted[path] for path in paths]),
            rtol=ROUNDING,
            atol=ROUNDING,
        )


def check_drafted(head: PlainHead, spec: SpecShape, step: Speculated) -> None:
    """The drafts are the best paths of a plain beam search."""
    for row, text in enumerate(step.texts):
        tried = searched(functools.partial(head.oracle, text), spec)
        scores = sorted((tried[path] for path in step.paths(row)[1:]), reverse=True)
        best = sorted(tried.values(), reverse=True)[: spec.nodes - 1]
        assert scores == pytest.approx(best, abs=ROUNDING)


@pytest.mark.parametrize("page_size", [1, 16, 256])
@pytest.mark.parametrize("topk", [1, 2, 5, 8])
def test_answers_are_the_references_and_so_is_every_node(
    topk: int, page_size: int, steps: list[Speculated]
) -> None:
    reference = Reference(str(ARITH / "target"), torch.float64)
    with Engine.from_cell(arith_args(spec_topk=topk, page_size=page_size)) as engine:
        free = engine.free_pages
        generations = engine.generate(SUMS, 14)
        assert engine.free_pages == free
        stats = engine.stats
    assert check_greedy(reference, SUMS, generations, ROUNDING) == []
    assert stats.eager == 0
    assert stats.mean_accept_length > 2, "paths too short for a wrong slot to matter"
    for step in steps[1:4:2]:
        check_verified(reference, step)


@pytest.mark.parametrize(
    "spec", [SpecShape(4, 2), SpecShape(6, 5, 64), SpecShape(3, 8, 20), SpecShape(1, 8)], ids=str
)
def test_drafts_are_those_of_a_plain_beam_search(
    spec: SpecShape, engine_args: dict[str, object], models: Path, steps: list[Speculated]
) -> None:
    args = {
        **engine_args,
        "spec_steps": spec.steps,
        "spec_topk": spec.topk,
        "spec_draft_tokens": spec.draft_tokens,
        "page_size": 4,
    }
    with Engine.from_cell(args) as engine:
        engine.generate(PROMPTS[:2], 8)
    target = Reference(str(models / "target"), torch.float64)
    head = PlainHead(target, str(models / "draft"))
    assert len(steps) > 2
    for step in steps[:2]:
        check_drafted(head, spec, step)


def test_drafts_after_accepted_paths_are_those_of_a_plain_beam_search(
    steps: list[Speculated],
) -> None:
    with Engine.from_cell(arith_args(spec_topk=3, spec_steps=3, page_size=16)) as engine:
        engine.generate(SUMS[:3], 12)
        assert engine.stats.mean_accept_length > 2
    target = Reference(str(ARITH / "target"), torch.float64)
    head = PlainHead(target, str(ARITH / "draft"))
    for step in steps[1:3]:
        check_drafted(head, SpecShape(3, 3), step)


def test_a_tree_of_one_beam_is_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for forced in (False, True):
        if forced:
            monkeypatch.setattr(SpecShape, "is_tree", True)
        with Engine.from_cell(arith_args()) as engine:
            answers.append(engine.generate(SUMS, 14, return_logprob=True))
    chain, tree = answers
    assert [one.tokens for one in chain] == [one.tokens for one in tree]
    assert [one.accept_lengths for one in chain] == [one.accept_lengths for one in tree]
    for one, other in zip(chain, tree, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=ROUNDING)


def test_a_tree_is_accepted_at_least_as_far_as_the_chain() -> None:
    lengths = []
    for topk in (1, 4):
        with Engine.from_cell(arith_args(spec_topk=topk)) as engine:
            engine.generate(SUMS, 20)
            lengths.append(engine.stats.mean_accept_length)
    assert lengths[1] >= lengths[0] > 2


def test_sampling_through_a_tree_follows_the_targets_distribution(
    engine_args: dict[str, object], models: Path
) -> None:
    count = 600
    args = {
        **engine_args,
        "spec_topk": 8,
        "spec_steps": 2,
        "cuda_graph_bs": [32],
        "max_running": 32,
    }
    with Engine.from_cell(args) as engine:
        generations = engine.generate([[3, 4, 5]] * count, 2, temperature=1.0)
        assert engine.stats.mean_accept_length > 1.2, "no draft was followed: nothing was tested"
    reference = Reference(str(models / "target"))
    expected = torch.zeros(29)
    for first, probability in enumerate(reference.logits([[3, 4, 5]])[0][-1].softmax(-1).tolist()):
        if first != 1:
            row = reference.logits([[3, 4, 5, first]])[0][-1].softmax(-1)
            expected += probability * row
    second = [g.tokens[1] for g in generations if len(g.tokens) > 1]
    seen = torch.bincount(torch.tensor(second), minlength=29)
    deviation = ((seen / count - expected).abs() / (expected / count).sqrt().clamp_min(1e-3)).max()
    assert deviation < 4.5


TWO_RANKS = """
import json, sys
from harness.engine.engine import Engine
given = json.loads(sys.argv[1])
with Engine.from_cell(given["args"]) as engine:
    answers = engine.generate(given["prompts"], 14, return_logprob=True)
print(json.dumps([[a.tokens, a.logprobs, a.accept_lengths] for a in answers]))
"""


def test_two_ranks_answer_as_one(tmp_path: Path) -> None:
    args = arith_args(spec_topk=3, spec_steps=3, page_size=16, cuda_graph_bs=[4])
    with Engine.from_cell(args) as engine:
        alone = engine.generate(SUMS, 14, return_logprob=True)
    ended = run_ranks(TWO_RANKS, tmp_path, argument={"args": args, "prompts": SUMS})
    assert ended.codes == [0, 0], ended.errors
    for (tokens, logprobs, lengths), one in zip(ended.answer, alone, strict=True):
        assert (tokens, lengths) == (one.tokens, one.accept_lengths)
        assert logprobs == pytest.approx(one.logprobs, abs=ROUNDING)


def test_a_vocabulary_smaller_than_topk_and_a_strangers_head_are_refused(tmp_path: Path) -> None:
    save_target(tmp_path / "target", vocab_size=5)
    save_draft(tmp_path / "draft")
    args = {"model": str(tmp_path / "target"), "draft_model": str(tmp_path / "draft")}
    with pytest.raises(UsageError, match="spec_topk 6 exceeds vocab_size 5"):
        Engine.from_cell({**args, "max_context": 40, "spec_topk": 6})
    with pytest.raises(UsageError, match="has vocab_size 29, its target 5"):
        Engine.from_cell({**args, "max_context": 40, "spec_topk": 2})


def test_trees_of_requests_that_share_pages_and_give_way_are_still_right() -> None:
    prompts = sums("123+45=", "123+46=", "12+9=", "123+457=", "123+45=", "77+123=", "123", "12")
    args = arith_args(
        spec_topk=5, spec_draft_tokens=32, page_size=4, max_context=40, max_total_tokens=130
    )
    reference = Reference(str(ARITH / "target"))
    with Engine.from_cell(args) as engine:
        for _ in range(2):
            generations = engine.generate(prompts, 14)
            assert check_greedy(reference, prompts, generations, ROUNDING) == []
        assert engine.stats.retractions > 0
        assert engine.stats.shared_tokens > 0

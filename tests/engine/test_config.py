"""How arguments, cell and environment become a configuration, and what each mistake says."""

import json

import pytest

from harness.core.backends import BACKENDS
from harness.core.errors import UsageError
from harness.core.order import CaptureOrder
from harness.engine.attention.factories import FACTORIES
from harness.engine.config import build_config, config_from_dict

ARGS = {"model": "target", "draft_model": "draft"}


def test_the_cell_overrides_the_suite_and_backend_sets_three_roles() -> None:
    args = {**ARGS, "order": "ascending", "draft_backend": "flex"}
    config = build_config(args, {"order": "descending", "backend": "fa3", "env:A": "b"}, {})
    roles = (config.prefill_backend, config.decode_backend, config.draft_backend)
    assert roles == ("fa3",) * 3
    assert config.order is CaptureOrder.DESCENDING


def test_the_ranks_environment_gives_defaults() -> None:
    environ = {"HARNESS_SEED": "7", "WORLD_SIZE": "2", "HARNESS_IN_CI": "1"}
    config = build_config(ARGS, {}, environ)
    assert (config.seed, config.tp, config.in_ci, config.device) == (7, 2, True, "cpu")
    assert (config.dtype, config.cuda_graph_bs) == ("float32", (1, 2, 4, 8))


def test_the_gate_is_resolved_from_the_backends_and_ci() -> None:
    config = build_config(ARGS, {"order": "gate", "backend": "fa3"}, {"HARNESS_IN_CI": "1"})
    assert config.resolved_order is CaptureOrder.ASCENDING
    assert build_config(ARGS, {"order": "gate"}, {}).resolved_order is CaptureOrder.DESCENDING


def test_a_configuration_survives_the_way_to_a_follower() -> None:
    config = build_config(ARGS, {"order": "shuffled", "seed": 3}, {})
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"colour": 1}, "engine argument 'colour'"),
        ({"page_size": "x"}, "'page_size' cannot be 'x': give a whole number"),
        ({"page_size": True}, "'page_size' cannot be True"),
        ({"graphs": "maybe"}, "'graphs' cannot be 'maybe'"),
        ({"cuda_graph_bs": []}, "'cuda_graph_bs'"),
        ({"cuda_graph_bs": [0, 1]}, "'cuda_graph_bs' cannot be [0, 1]"),
        ({"order": "sideways"}, "'order' cannot be 'sideways': give one of ascending"),
        ({"page_size": 0}, "'page_size' cannot be 0"),
        ({"page_size": 1024}, "page_size 1024 is not supported"),
        ({"page_size": 257}, "page_size 257 is not supported: give 1 to 256"),
        ({"spec_topk": 9}, "spec_topk 9"),
        ({"spec_topk": 2, "spec_draft_tokens": 60}, "spec_draft_tokens 60"),
        ({"max_total_tokens": 10}, "max_total_tokens 10 cannot hold one request"),
        ({"temperature": -1}, "temperature"),
        ({"attention_splits": -1}, "'attention_splits' cannot be -1"),
        ({"temperature": float("nan")}, "temperature"),
        ({"device": "tpu"}, "'device' cannot be 'tpu'"),
        ({"dtype": "int4"}, "'dtype' cannot be 'int4'"),
        ({"barrier_timeout_s": 0}, "'barrier_timeout_s' cannot be 0"),
        ({"draft_model": None}, "needs 'draft_model'"),
        ({"tp": 4}, "tp 4 needs 4 ranks, but 1 run"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(args: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_config({**ARGS, **args}, {}, {})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_is_needed() -> None:
    with pytest.raises(UsageError, match="no model"):
        build_config({}, {}, {})


def test_every_backend_of_the_table_can_be_made() -> None:
    assert set(BACKENDS) == set(FACTORIES)

"""Tensors are found and changed wherever an operator takes or returns them."""

import torch

from harness.engine.capture.arguments import iterate_tensors, map_tensors


def test_tensors_are_found_in_order_in_lists_tuples_and_dictionaries() -> None:
    first, second, third = (torch.full((1,), float(number)) for number in range(3))
    value = (first, [None, second, 3], {"dim": -1, "other": third})
    assert [float(tensor) for tensor in iterate_tensors(value)] == [0.0, 1.0, 2.0]


def test_changing_keeps_containers_and_everything_else() -> None:
    one = torch.ones(1)
    changed = map_tensors(lambda tensor: tensor + 1, (one, [None, one], {"dim": -1, "x": one}))
    assert changed == (2, [None, 2], {"dim": -1, "x": 2})
    assert isinstance(changed[1], list)


def test_a_named_result_of_torch_stays_one() -> None:
    top = torch.tensor([1.0, 3.0]).topk(1)
    changed = map_tensors(lambda tensor: tensor + 1, top)
    assert type(changed) is type(top)
    assert float(changed.values) == 4.0

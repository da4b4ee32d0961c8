"""The table of engine arguments: what it takes, what it refuses, and what may vary."""

from dataclasses import fields

import pytest

from harness.core.engine_arguments import (
    ARGUMENTS,
    AXES,
    EngineArguments,
    check_axis,
    default_dtype,
    expand_backend,
    read_arguments,
)
from harness.core.errors import UsageError


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_default_is_a_value_that_the_argument_takes(name: str) -> None:
    argument = ARGUMENTS[name]
    if name != "model":
        assert argument.read(argument.default) == argument.default
    assert argument.help


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_argument_is_an_axis_or_says_what_decides_it(name: str) -> None:
    assert (name in AXES) != bool(ARGUMENTS[name].fixed_by)


def test_only_what_the_attempt_or_the_driver_decides_cannot_vary() -> None:
    assert {name for name in ARGUMENTS if name not in AXES} == {"seed", "device", "in_ci"}


@pytest.mark.parametrize("name", ["seed", "device", "in_ci"])
def test_an_axis_of_what_is_decided_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}'"):
        check_axis(name, (1,))


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("prefix_cache", 0, False),
        ("prefix_cache", "true", True),
        ("graphs", "FALSE", False),
        ("temperature", "0.7", 0.7),
        ("temperature", 1, 1.0),
        ("cuda_graph_bs", "8:1:2", (1, 2, 8)),
        ("cuda_graph_bs", [4, 4, 1], (1, 4)),
        ("cuda_graph_bs", 2, (2,)),
        ("max_context", "48", 48),
        ("model", "a/b", "a/b"),
        ("draft_model", None, None),
        ("cpu_collectives", "gloo", "gloo"),
    ],
)
def test_values_of_suites_and_cells_are_read_alike(name: str, value: object, read: object) -> None:
    assert ARGUMENTS[name].read(value) == read
    check_axis(name, (value,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prefix_cache", 2),
        ("temperature", "warm"),
        ("temperature", "inf"),
        ("temperature", True),
        ("cuda_graph_bs", "1:0"),
        ("cuda_graph_bs", ""),
        ("cuda_graph_bs", {}),
        ("max_total_tokens", -1),
        ("model", ""),
        ("order", 1),
        ("tp", 1.5),
    ],
)
def test_a_value_that_an_argument_cannot_have_is_named_with_it(name: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_axis(name, (value,))
    assert repr(name) in str(caught.value)
    assert repr(value) in str(caught.value)
    assert ARGUMENTS[name].parser.wanted in str(caught.value)


def test_an_unknown_axis_is_refused_unless_a_suite_declares_it() -> None:
    with pytest.raises(UsageError, match=r"unknown axis 'colour'.*page_size.*--env"):
        check_axis("colour", ("red",))
    check_axis("colour", ("red",), {"colour"})
    check_axis("env:COLOUR", ("red",))
    check_axis("backend", ("fa3",))


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(UsageError, match="engine argument 'colour'"):
        read_arguments({"colour": 1})


def test_backend_stands_for_three_roles_and_a_role_of_its_own_wins() -> None:
    assert expand_backend({"backend": "fa2", "draft_backend": "flex", "env:A": "b", "tp": 1}) == {
        "prefill_backend": "fa2",
        "decode_backend": "fa2",
        "draft_backend": "flex",
        "tp": 1,
    }


def test_a_dtype_that_is_not_given_follows_the_device() -> None:
    assert (default_dtype("cuda"), default_dtype("cpu")) == ("bfloat16", "float32")


def test_the_table_holds_every_field_in_order() -> None:
    assert list(ARGUMENTS) == [field.name for field in fields(EngineArguments)]

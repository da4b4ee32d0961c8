"""Suites and what they declare, read without importing them."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.suite import (
    EngineDeclaration,
    clashes,
    parse_suite,
    read_declarations,
    role_backends,
)

SOURCE = """
import unittest
raise SystemExit("a suite is never imported by the driver")
engine_args = dict(model="m", page_size=1)

class Mixin:
    pass

class TestA(unittest.TestCase):
    engine_args = dict(page_size=4, backend="fa3")
    pinned = ("backend", "page_size")
    def test_one(self): ...

class Shape(unittest.TestCase):
    def test_two(self): ...
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "test_it.py"
    path.write_text(SOURCE)
    return path


def test_a_class_inherits_the_modules_arguments_and_adds_its_own(suite: Path) -> None:
    declared = read_declarations(parse_suite(str(suite)))
    assert declared.classes["TestA"].engine_args == {
        "model": "m", "page_size": 4, "backend": "fa3",
    }  # fmt: skip
    assert declared.classes["Shape"].engine_args == {"model": "m", "page_size": 1}
    assert set(declared.classes) == {"TestA", "Shape"}


def test_a_cell_that_changes_a_pinned_argument_clashes(suite: Path) -> None:
    declared = read_declarations(parse_suite(str(suite))).classes["TestA"]
    assert clashes(declared, {"page_size": 16}) == ["page_size is pinned to 4"]
    assert clashes(declared, {"page_size": 4, "backend": "fa3", "order": "gate"}) == []


def test_the_backend_axis_clashes_with_a_pinned_role() -> None:
    pinned = EngineDeclaration({"draft_backend": "fa2"}, ("draft_backend",))
    assert clashes(pinned, {"backend": "fa3"}) == ["draft_backend is pinned to 'fa2'"]


def test_a_role_pinned_to_what_the_cell_gives_it_does_not_clash() -> None:
    pinned = EngineDeclaration({"backend": "fa2", "draft_backend": "fa3"}, ("draft_backend",))
    assert clashes(pinned, {"backend": "fa3"}) == []
    assert clashes(pinned, {"backend": "fa2", "draft_backend": "fa3"}) == []


def test_a_pinned_backend_pins_every_role() -> None:
    pinned = EngineDeclaration({"backend": "fa3"}, ("backend",))
    assert clashes(pinned, {"backend": "fa2"}) == ["backend is pinned to 'fa3'"]
    assert clashes(pinned, {"decode_backend": "fa2"}) == ["backend is pinned to 'fa3'"]


def test_a_later_layer_wins_and_within_one_the_role_wins() -> None:
    found = role_backends(
        {"backend": "fa2", "draft_backend": "flex"}, {"backend": "fa3", "decode_backend": "fa2"}
    )
    assert list(found.values()) == ["fa3", "fa2", "fa3"]
    assert list(role_backends({"draft_backend": "fa3"}).values()) == [
        "torch_native", "torch_native", "fa3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("engine_args = dict(model=path())", "literals"),
        ("engine_args = dict(**other)", "literals"),
        ("engine_args = 3", "dict of literals"),
        ("pinned = 7", "tuple of names"),
        ("def broken(:", "not valid Python"),
        ("x = '\0'", "not valid Python"),
    ],
)
def test_declarations_that_cannot_be_read_are_named(tmp_path: Path, source: str, told: str) -> None:
    path = tmp_path / "test_bad.py"
    path.write_text(source)
    with pytest.raises(UsageError, match=told):
        read_declarations(parse_suite(str(path)))


def test_a_missing_file_and_a_missing_class_are_named(suite: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_declarations(parse_suite(str(suite) + "x"))
    with pytest.raises(UsageError, match="TestA, Shape"):
        read_declarations(parse_suite(f"{suite}::TestB"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tests", ()),
        ("a.py::A::B::test_c", ("A", "B", "test_c")),
        ("a.py::test_odd[a]b]", ("test_odd[a]b]",)),
        ("a.py::A::test_odd[a::b c]", ("A", "test_odd[a::b c]")),
        ("a.py::test_long[" + "x" * 250 + "]", ("test_long[" + "x" * 250 + "]",)),
        ("a.py::describe it::works", ("describe it", "works")),
    ],
)
def test_any_node_id_of_pytest_is_a_suite(text: str, parts: tuple[str, ...]) -> None:
    ref = parse_suite(text)
    assert (ref.parts, ref.nodeid, ref.key) == (parts, text, text)


@pytest.mark.parametrize(
    "text", ["", "::A", "a.py::", "a.py::A::", "a.py::A\n", "a.py::" + "x" * 5000]
)
def test_text_that_is_no_suite_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_suite(text)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_suite(text).nodeid == text


def test_a_name_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        parse_suite("test_\udcff.py")

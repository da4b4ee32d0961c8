"""`harness gate`: every class with every backend, and only its own class's captures."""

from pathlib import Path

from harness.driver.commands.ordering_gate import _find_class, _format_lines, suites_under

SUITE = """
import unittest
class TestPlain(unittest.TestCase):
    engine_args = dict(model="m")
class TestPinned(unittest.TestCase):
    engine_args = dict(model="m", prefill_backend="torch_native", draft_backend="fa3")
    pinned = ("prefill_backend", "decode_backend", "draft_backend")
"""


def test_the_gate_ascends_in_ci_where_any_role_is_fa3_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "test_suite.py"
    path.write_text(SUITE)
    lines = list(_format_lines(str(path), []))
    assert [line[0] for line in lines] == ["TestPlain"] * 4 + ["TestPinned"]
    for _, roles, outside, in_ci, observed in lines:
        assert outside == "descending"
        assert in_ci == ("ascending" if "fa3" in roles.split(", ") else "descending")
        assert observed == "no run stored"
    assert lines[-1][1] == "torch_native, torch_native, fa3"
    assert suites_under(str(tmp_path)) == [str(path)]


def test_a_capture_belongs_to_the_class_of_the_test_that_ran() -> None:
    assert _find_class({"test": "suites/test_a.py::TestB::test_c[x]"}) == "TestB"
    assert _find_class({"test": "suites/test_a.py::test_c"}) == ""
    assert _find_class({"test": None}) == ""

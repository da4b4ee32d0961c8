"""Results of other tools: what is read, and that nothing in such a file can break the reader."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rank.test_results import FileTest, ResultFileError, read_junit, read_tap


def test_a_tap_stream_has_names_numbers_and_directives() -> None:
    text = "TAP version 13\nok\nnot ok 2 - adds # TODO later\nok 3 # SKIP no GPU\n# note\n1..3\n"
    assert read_tap(text) == [
        FileTest("test 1", "passed"),
        FileTest("adds", "skipped"),
        FileTest("test 3", "skipped"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ok 1\n", r"no TAP plan"),
        ("1..2\nok 1\n", "2 tests were planned, 1 ran"),
        ("1..1\nok 1\nok 2\n", "1 tests were planned, 2 ran"),
        ("1..3\nok 1\nBail out! no GPU\n", "no GPU"),
        ("okay, all tests passed\n", r"no TAP plan"),
    ],
)
def test_a_tap_stream_that_says_less_than_it_planned_is_no_result(text: str, told: str) -> None:
    with pytest.raises(ResultFileError, match=told):
        read_tap(text)


def test_an_entity_in_a_junit_file_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "cc">]><testsuite><testcase name="&b;"/></testsuite>')
    with pytest.raises(ResultFileError, match="document type"):
        read_junit(path)


@given(st.text())
def test_any_text_is_tap_or_a_named_error(text: str) -> None:
    try:
        assert all(test.name for test in read_tap(text))
    except ResultFileError as error:
        assert str(error)


@given(st.binary() | st.text().map(lambda text: f"<testsuite>{text}".encode("utf-8", "replace")))
def test_any_bytes_are_junit_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.xml"
    path.write_bytes(data)
    try:
        assert read_junit(path)
    except ResultFileError as error:
        assert str(error)
    finally:
        path.unlink()

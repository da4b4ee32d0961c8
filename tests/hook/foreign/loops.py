"""A suite with plain capture loops, of its own and in a helper module."""

from collections.abc import Iterator

import helper
import pytest
import torch.cuda


@pytest.fixture
def captured() -> Iterator[list[int]]:
    sizes = []
    for bs in [1, 2, 8]:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            sizes.append(bs)
    yield sizes


class TestLoops:
    def capture(self, bs: int) -> int:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            return bs

    def test_a_loop_in_a_fixture(self, captured: list[int]) -> None:
        assert captured == [8, 2, 1]

    def test_a_loop_over_a_method(self) -> None:
        assert [*self.walk()] == [(4, "b"), (2, "a")]

    def walk(self) -> Iterator[tuple[int, str]]:
        for size, name in [(2, "a"), (4, "b")]:
            self.capture(size)
            yield size, name

    def test_a_helper(self) -> None:
        assert helper.capture_all() == [16, 4, 1]

    def test_what_captures_nothing_is_left_alone(self) -> None:
        seen = []
        for number in [1, 2, 3]:
            seen.append(number)
        assert seen == [1, 2, 3]

    def test_a_loop_over_names_is_left_alone(self) -> None:
        seen = []
        for name in ["a", "b"]:
            self.capture(1)
            seen.append(name)
        assert seen == ["a", "b"], "in order"

"""Set-up that fails for a whole class or module."""

import unittest

import pytest


class TestBroken(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        raise RuntimeError("the engine did not come up")

    def test_one(self) -> None:
        pass

    def test_two(self) -> None:
        pass


@pytest.fixture(scope="module")
def engine() -> None:
    raise RuntimeError("no engine in this module")


def test_of_the_module(engine: None) -> None:
    pass


@pytest.fixture
def own() -> None:
    raise RuntimeError("this test's own")


def test_of_its_own_fixture(own: None) -> None:
    pass

"""Failures that pytest-rerunfailures hides: the second try goes well."""

import unittest

import pytest

tries = {"test": 0, "class": 0}


@pytest.mark.flaky(reruns=2)
def test_fails_once() -> None:
    tries["test"] += 1
    assert tries["test"] > 1


@pytest.mark.flaky(reruns=2)
class TestClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        tries["class"] += 1
        if tries["class"] == 1:
            raise RuntimeError("capture failed the first time")

    def test_after_it(self) -> None:
        pass

"""Subtests of both kinds: one of three fails, and the test goes on to its end."""

import unittest

import pytest


class TestCase(unittest.TestCase):
    def test_numbers(self) -> None:
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)


def test_fixture(subtests: pytest.Subtests) -> None:
    for number in range(3):
        with subtests.test("numbers", number=number):
            assert number != 1

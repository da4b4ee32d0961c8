"""Reading a frame's variables leaves no trace in it."""

import sys
import weakref

from harness.hook.frames import read_locals


class Tensor:
    pass


def look() -> list[object]:
    return read_locals(sys._getframe(1), "value", "missing")


def test_a_variable_that_was_read_dies_when_its_function_drops_it() -> None:
    value: object = Tensor()
    watched = weakref.ref(value)
    assert look() == [value, None]
    value = None
    assert watched() is None


def test_what_a_function_took_with_locals_stays_its_own() -> None:
    value = 3
    mine = locals()
    look()
    assert mine["value"] == value == 3

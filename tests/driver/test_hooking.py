"""Which parts of the start-up hook an attempt begins with."""

from harness.core.cell import Cell
from harness.driver.hooking import choose_hook
from harness.driver.options import RunOptions

PLAIN = Cell((("order", "ascending"),))
AMPLIFIED = Cell((*PLAIN.axes, ("amplify", "poison+delay")))


def test_the_audit_and_the_cells_amplifiers_come_after_what_only_observes() -> None:
    parts = choose_hook(("sglang-order",), AMPLIFIED, observed=True, audited=True)
    assert parts == ("report", "sglang-order", "audit", "amplify:poison+delay")
    assert choose_hook((), PLAIN, observed=True, audited=False) == ("report",)
    assert choose_hook((), PLAIN, observed=False, audited=False) == ()


def test_amplifiers_are_one_value_of_an_axis_of_their_own() -> None:
    [axis] = RunOptions(amplify=("poison", "delay")).axes
    assert (axis.name, axis.values) == ("amplify", ("poison+delay",))

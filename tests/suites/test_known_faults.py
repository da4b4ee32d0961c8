"""Known faults declare what is true of them; that they show it, `calibrate --quick` tries."""

import ast
from pathlib import Path

import pytest

SUITES = Path(__file__).parents[2] / "suites"
FAULTS = sorted(path.stem for path in (SUITES / "faults").glob("test_[a-g][0-9_]*.py"))


def read_literal(suite: str, name: str) -> dict[str, object]:
    """Return what a suite's module assigns to a name by dict(...)."""
    tree = ast.parse((SUITES / "faults" / f"{suite}.py").read_text())
    (call,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name
    )
    assert isinstance(call, ast.Call)
    return {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}


@pytest.mark.parametrize("suite", FAULTS)
def test_every_fault_declares_its_truth(suite: str) -> None:
    truth = read_literal(suite, "truth")
    assert set(truth) == {"fault", "kind", "factor", "loud", "mechanism", "amplifier"}
    assert suite.startswith(f"test_{str(truth['fault']).lower()}_")


@pytest.mark.parametrize("suite", FAULTS)
def test_the_factor_that_a_fault_follows_is_varied(suite: str) -> None:
    factor = str(read_literal(suite, "truth")["factor"]).removeprefix("env:")
    varied = read_literal(suite, "axes")
    assert factor in {"", "device", *varied}

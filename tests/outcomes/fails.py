"""One test fails, its neighbour passes."""


def divide(by: int) -> float:
    return 1 / by


def test_fails() -> None:
    assert divide(0) == 1


def test_passes() -> None:
    assert divide(1) == 1

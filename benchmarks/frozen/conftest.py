"""Makes the suites importable from anywhere, and lets plain `torchrun -m pytest` run them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Under plain torchrun a rank above 0 follows instead of collecting."""
    from harness.engine.follower import follow_if_follower

    if follow_if_follower():
        session.shouldstop = "this rank followed rank 0"
        pytest.exit("this rank followed rank 0", returncode=0)

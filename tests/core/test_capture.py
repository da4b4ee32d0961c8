"""Phases, pools and sizes of capture: pure names and lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.capture import (
    PoolSharing,
    pool_name,
    sizes_up_to,
)
from harness.core.errors import UsageError


def test_pools_are_named_after_what_shares_them() -> None:
    graphs = [("verify", 1), ("verify", 2), ("draft", 1)]
    named = {
        sharing: [pool_name(sharing, role, bs) for role, bs in graphs] for sharing in PoolSharing
    }
    assert named == {
        PoolSharing.SHARED: ["shared"] * 3,
        PoolSharing.PER_ROLE: ["verify", "verify", "draft"],
        PoolSharing.PER_GRAPH: ["verify/1", "verify/2", "draft/1"],
    }


def test_the_sizes_that_servers_capture() -> None:
    assert sizes_up_to(1) == [1]
    assert sizes_up_to(5) == [1, 2, 4, 5]
    assert sizes_up_to(20) == [1, 2, 4, 8, 16, 20]
    assert len(sizes_up_to(256)) == 35
    with pytest.raises(UsageError, match="give 1 or more"):
        sizes_up_to(0)


@given(st.integers(1, 2000))
def test_sizes_rise_to_the_largest(largest: int) -> None:
    sizes = sizes_up_to(largest)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, largest)

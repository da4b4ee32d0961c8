"""What is removed of old runs, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.pruning import Layer, RunSize, choose_removals, read_age, read_size

DAY = 86_400.0
OLD, NEW = RunSize("old", 0.0, (50, 20, 5)), RunSize("new", 40 * DAY, (40, 20, 5))
NOW = 50 * DAY


def test_evidence_goes_first_and_rows_last() -> None:
    found = choose_removals([NEW, OLD], NOW, None, 0)
    assert [(one.run_id, one.layer) for one in found] == [
        *(("old", Layer.EVIDENCE), ("new", Layer.EVIDENCE)),
        *(("old", Layer.FILES), ("new", Layer.FILES)),
        *(("old", Layer.ROWS), ("new", Layer.ROWS)),
    ]


def test_no_more_is_removed_than_the_size_asks_for() -> None:
    found = choose_removals([NEW, OLD], NOW, None, 100)
    assert [(one.run_id, one.layer) for one in found] == [("old", Layer.EVIDENCE)]
    assert choose_removals([NEW, OLD], NOW, None, 140) == []


def test_what_is_too_old_goes_whole_whatever_its_size() -> None:
    found = choose_removals([NEW, OLD], NOW, 30 * DAY, None)
    assert [(one.run_id, one.layer) for one in found] == [("old", layer) for layer in Layer]


def test_age_and_size_together_remove_what_either_asks_for() -> None:
    found = choose_removals([NEW, OLD], NOW, 30 * DAY, 30)
    assert [one.run_id for one in found if one.layer is Layer.EVIDENCE] == ["old", "new"]
    assert ("new", Layer.ROWS) not in [(one.run_id, one.layer) for one in found]


SIZES = st.tuples(*[st.integers(0, 1000)] * 3)


@given(st.lists(SIZES, max_size=8), st.integers(0, 5000))
def test_what_is_left_fits_and_no_layer_is_out_of_order(
    sizes: list[tuple[int, int, int]], limit: int
) -> None:
    runs = [RunSize(str(n), float(n), size) for n, size in enumerate(sizes)]
    found = choose_removals(runs, NOW, None, limit)
    left = sum(map(sum, sizes)) - sum(one.size for one in found)
    assert left <= limit
    assert [one.layer for one in found] == sorted(one.layer for one in found)
    if found:
        assert left + found[-1].size > limit


def test_ages_and_sizes_are_read() -> None:
    assert (read_age("30d"), read_age("1.5h"), read_age("2w")) == (30 * DAY, 5400.0, 14 * DAY)
    sizes = [read_size(text) for text in ("20G", "1.5k", "7", "2MiB")]
    assert sizes == [20 << 30, 1536, 7, 2 << 20]


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1y", "30 days"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--older-than"):
        read_age(text)


@pytest.mark.parametrize("text", ["", "G", "-1G", "1P", "1 000"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--max-size"):
        read_size(text)

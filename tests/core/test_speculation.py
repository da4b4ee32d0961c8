"""Which sizes of a draft tree go together, and what each mistake says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.speculation import NO_DRAFTS, SpecShape, check_spec, largest_tree


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((0, 1, 0), "spec_steps 0 is not supported: give 1 to 8"),
        ((9, 1, 0), "spec_steps 9 is not supported: give 1 to 8"),
        ((4, 0, 0), "spec_topk 0 is not supported: give 1 to 8"),
        ((4, 9, 0), "spec_topk 9 is not supported: give 1 to 8"),
        ((4, 2, 65), "spec_draft_tokens 65 is not supported: give 2 to 64"),
        ((4, 2, -1), "spec_draft_tokens -1 is not supported: give 2 to 64"),
        ((4, 1, 4), "a chain of spec_steps 4 has 5; give 5, or 0, or a larger spec_topk"),
        ((2, 2, 8), "spec_steps 2 with spec_topk 2 try 7 at most; give no more, or raise"),
        ((1, 8, 10), "try 9 at most"),
    ],
)
def test_a_mistake_names_the_value_and_what_to_give(sizes: tuple[int, int, int], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_spec(*sizes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 64))
def test_a_shape_that_is_accepted_has_room_for_all_that_it_writes(
    steps: int, topk: int, draft_tokens: int
) -> None:
    try:
        check_spec(steps, topk, draft_tokens)
    except UsageError:
        return
    spec = SpecShape(steps, topk, draft_tokens)
    assert 2 <= spec.nodes <= min(64, largest_tree(steps, topk))
    assert spec.slots >= spec.nodes - 1
    assert spec.slots >= spec.decode_length * topk
    assert spec.slots >= spec.path - 1, "the accepted path stands past the context too"


def test_upstreams_largest_tree_and_the_chain() -> None:
    assert SpecShape(8, 5, 64).slots == 63
    assert SpecShape(8, 8, 10).slots == 56
    assert (SpecShape(4, 1).nodes, SpecShape(4, 1).slots) == (5, 4)
    assert (NO_DRAFTS.nodes, NO_DRAFTS.slots, NO_DRAFTS.is_tree) == (1, 0, False)

"""Which of a verdict's sentences are shown: few enough to be read. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.revision import AXIS

#: So many undecided comparisons have their sentence beside the verdict.
_UNDECIDED = 3


def rank(contrast: Mapping[str, Any]) -> float:
    """What a reader looks for first: revisions, then what differs most clearly."""
    clear = 1 if contrast["p"] is None else contrast["p"]
    return float(clear - 2 if contrast["axis"] == AXIS else clear)


def shown(
    sentences: Sequence[str], contrasts: Sequence[Mapping[str, Any]], elsewhere: str
) -> list[str]:
    """The verdict's sentences, of many comparisons that were not decided the first few.

    `elsewhere` says where all of them are.
    """
    silent = [one for one in contrasts if one["finding"] != "different"]
    dropped = {one["sentence"] for one in sorted(silent, key=rank)[_UNDECIDED:]}
    if not dropped:
        return list(sentences)
    many = f"{len(dropped)} more planned comparisons are not decided: {elsewhere}"
    return [*(text for text in sentences if text not in dropped), many]

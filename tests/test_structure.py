"""The project stays in its shape: small files, small functions, names that begin with a verb."""

import re
import statistics
from pathlib import Path

import pytest

from tests.sources import PACKAGE, PROJECT, FoundFunction, find_functions

LARGEST_FILE = 300
LARGEST_MEDIAN = 8
LARGEST_90TH_PERCENTILE = 18
MOST_PARAMETERS = 6

FUNCTIONS = list(find_functions(PACKAGE))

#: First words of names that are no verbs in the imperative.
NO_VERBS = set(
    re.findall(
        r"\w+",
        """
    about after against along among at attributes axes before below between branches by capacity
    causes cell cells columns counts descriptors devices done environment evidence given groups
    held how in infrastructure inside kept keys kinds known left lines lost more names new no notes
    nothing of one only orders other out pages rows said shown signature slots taken texts
    together told too tree two values what where whole why with without written
    """,
    )
)
#: Words in -ed or -ing that are verbs all the same.
VERBS = {"bring", "embed", "exceed", "feed", "need", "proceed", "seed", "speed"}

#: Names of files and functions that still have another shape. The list only gets shorter.
ALLOWED = set((PROJECT / "tests" / "structure_allowed.txt").read_text().split())


def find_large_files(*folders: str) -> set[str]:
    paths = [path for folder in folders for path in (PROJECT / folder).rglob("*.py")]
    return {path.name for path in paths if count_lines(path) > LARGEST_FILE}


def count_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def is_exempt_from_parameters(function: FoundFunction) -> bool:
    """Tell whether a tool prescribes the signature: Triton's kernels, typer's commands."""
    prescribed = ("triton.jit", ".command(", ".callback(")
    return any(part in decorator for decorator in function.decorators for part in prescribed)


def begins_with_a_verb(name: str) -> bool:
    """Tell whether a function's name may begin with a verb, as far as spelling shows."""
    bare = name.strip("_")
    first = bare.partition("_")[0]
    participle = re.fullmatch(r"\w+(ed|ing)", first) and first not in VERBS
    return not (participle or first in NO_VERBS or bare.endswith("_of"))


#: The events that parts of the start-up hook are called for.
EVENTS = {f"{when}_{what}" for when in ("before", "after") for what in ("capture", "replay")}


def has_a_free_name(function: FoundFunction) -> bool:
    """Tell whether we chose the name: not Python, a hook, an event, a property or a command."""
    if function.name.startswith(("__", "pytest_")) or function.name in EVENTS:
        return False
    nouns = ("property", ".setter", ".command(", "fixture")
    return not any(part in decorator for decorator in function.decorators for part in nouns)


@pytest.mark.parametrize("folder", ["harness", "tests", "suites", "benchmarks"])
def test_no_file_is_large(folder: str) -> None:
    assert find_large_files(folder) - ALLOWED == set()


def test_the_median_function_is_small() -> None:
    lengths = [function.lines for function in FUNCTIONS]
    assert statistics.median(lengths) <= LARGEST_MEDIAN


def test_nine_functions_of_ten_are_small() -> None:
    lengths = [function.lines for function in FUNCTIONS]
    assert statistics.quantiles(lengths, n=10)[-1] <= LARGEST_90TH_PERCENTILE


def test_no_function_takes_many_parameters() -> None:
    many = [
        function
        for function in FUNCTIONS
        if function.parameters > MOST_PARAMETERS and not is_exempt_from_parameters(function)
    ]
    assert [found.where for found in many if found.name not in ALLOWED] == []


def test_functions_begin_with_a_verb() -> None:
    named = [function for function in FUNCTIONS if has_a_free_name(function)]
    other = [function for function in named if not begins_with_a_verb(function.name)]
    assert [found.where for found in other if found.name not in ALLOWED] == []


@pytest.mark.parametrize("name", ["opened", "_located", "left_of", "standing", "told", "axes_by"])
def test_a_name_without_a_verb_is_refused(name: str) -> None:
    assert not begins_with_a_verb(name)


@pytest.mark.parametrize("name", ["open_worktrees", "_feed", "seed_ranks", "format_bound", "is_in"])
def test_a_name_with_a_verb_is_accepted(name: str) -> None:
    assert begins_with_a_verb(name)

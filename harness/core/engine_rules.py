"""What other engines say when they fail: rules from `engine_rules.toml`, with tests in it.

The rules are data, so that a new message of an engine needs no code.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from harness.core.kinds import PRECEDENCE, Kind, KindScope, Phase
from harness.core.result import Failure

#: What a process's end alone says nothing of: its cause does.
_ENDS = (Kind.SIGNAL, Kind.EARLY_EXIT)
#: Kinds that an exception has if nothing stronger is known of it.
_WEAK = (Kind.ASSERTION, Kind.SETUP_ERROR, Kind.ERROR)


@dataclass(frozen=True, slots=True)
class EngineRule:
    """What one line means. `engine_rules.toml` says what the fields are."""

    engine: str
    name: str
    kind: Kind
    pattern: re.Pattern[str]
    phase: Phase | None = None
    test: re.Pattern[str] | None = None
    gpu: bool = False
    consequence: bool = False
    examples: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def matches(self, lines: Sequence[str], test: str) -> bool:
        """Return whether a line means it, in this test."""
        if self.test is not None and not self.test.search(test):
            return False
        return any(self.pattern.search(line) for line in lines)


@lru_cache(maxsize=1)
def read_engine_rules() -> tuple[EngineRule, ...]:
    """Return the rules, those of causes first, of these the strongest kind first."""
    path = Path(__file__).with_suffix(".toml")
    rules = [_read_rule(one) for one in tomllib.loads(path.read_text("utf-8"))["rule"]]
    return tuple(sorted(rules, key=lambda rule: (rule.consequence, PRECEDENCE[rule.kind])))


def _read_rule(table: dict[str, object]) -> EngineRule:
    given = dict(table)
    phase, test = given.pop("phase", None), given.pop("test", None)
    return EngineRule(
        engine=str(given["engine"]),
        name=str(given["name"]),
        kind=Kind(str(given["kind"])),
        pattern=re.compile(str(given["pattern"])),
        phase=Phase(str(phase)) if phase else None,
        test=re.compile(str(test)) if test else None,
        gpu=bool(given.get("gpu")),
        consequence=bool(given.get("consequence")),
        examples=_read_lines(given.get("examples")),
        others=_read_lines(given.get("others")),
    )


def _read_lines(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def match_engine_rules(text: str, scope: KindScope, test: str = "") -> EngineRule | None:
    """Return the rule that says most of a failure's own lines, in one test; None if none matches.

    Rules of CUDA hold only in attempts that CUDA kinds are possible in.
    """
    lines = text.splitlines()
    rules = (rule for rule in read_engine_rules() if scope.graphs or not rule.gpu)
    return next((rule for rule in rules if rule.matches(lines, test)), None)


def refine_failure(failure: Failure, scope: KindScope) -> Failure:
    """Return the failure as another engine's rules name it.

    A kind that says more than the rule's stays. A process that was killed, or left, is named by the
    cause: an engine whose child failed kills its own process tree.
    """
    is_killed = failure.kind in _ENDS and "SIGKILL" in failure.message
    if failure.kind not in (*_WEAK, Kind.EARLY_EXIT) and not is_killed:
        return failure
    rule = match_engine_rules(failure.message, scope, failure.test or "")
    if rule is None:
        return failure
    if failure.kind not in _ENDS and PRECEDENCE[rule.kind] > PRECEDENCE[failure.kind]:
        return replace(failure, message=_name(rule, failure))
    return replace(
        failure, kind=rule.kind, phase=rule.phase or failure.phase, message=_name(rule, failure)
    )


def _name(rule: EngineRule, failure: Failure) -> str:
    first, newline, rest = failure.message.partition("\n")
    return f"{first}\n{rule.engine}: {rule.name}{newline}{rest}"

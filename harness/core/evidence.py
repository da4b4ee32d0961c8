"""What is kept of a failing attempt, as values: the items of its folder, and what could not be had.

The folder's index is JSON; it may have come from another machine, so nothing in it is believed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.core.last_words import AttemptWords, Words

#: In an attempt's folder, and the index in it.
FOLDER = "evidence"
INDEX = "index.json"
_MOST_ITEMS = 200


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One file of the folder: its name, what it holds, its size in bytes."""

    name: str
    what: str
    size: int


@dataclass(frozen=True, slots=True)
class NotDone:
    """What was not collected, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class EvidenceIndex:
    """What the folder of one attempt holds."""

    items: tuple[EvidenceItem, ...] = ()
    not_done: tuple[NotDone, ...] = ()

    def write(self) -> str:
        """Return the index as JSON."""
        return json.dumps({"version": 1, **asdict(self)}, indent=1)


def read_index(text: str) -> EvidenceIndex:
    """Return the index of a text; what is wrong in it is left out."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return EvidenceIndex((), (NotDone("the index of the evidence", "it is not readable"),))
    found = value if isinstance(value, dict) else {}
    items = [
        EvidenceItem(one["name"], str(one.get("what", "")), int(one.get("size") or 0))
        for one in _list_objects(found, "items")
        if isinstance(one.get("name"), str) and isinstance(one.get("size"), int | None)
    ]
    missing = [
        NotDone(str(one.get("what", "")), str(one.get("why", "")))
        for one in _list_objects(found, "not_done")
    ]
    return EvidenceIndex(tuple(items), tuple(missing))


def _list_objects(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)][
        :_MOST_ITEMS
    ]


def list_words(words: AttemptWords) -> list[dict[str, Any]]:
    """Return what every stream of an attempt said, as JSON values, the running test's first."""
    streams = [
        *((f"held by pytest ({n + 1})", one) for n, one in enumerate(words.captured)),
        *((f"rank {rank}", one) for rank, one in sorted(words.logs.items())),
        *((f"failed test ({name})", one) for name, one in words.tests.items()),
        *((f"earlier, held by pytest ({n + 1})", one) for n, one in enumerate(words.earlier)),
    ]
    return [{"stream": name, **_write_words(one)} for name, one in streams]


def _write_words(words: Words) -> dict[str, Any]:
    return {
        "bytes": words.size,
        "binary": words.binary,
        "causes": [
            {"strength": cause.strength.name.lower(), "line": cause.line, "around": cause.lines}
            for cause in words.causes
        ],
        "stacks": [asdict(stack) for stack in words.stacks],
    }

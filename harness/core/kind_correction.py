"""Kinds of stored failures, by today's rules: older ones read a CUDA error's advice as its name."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.kinds import CUDA_KINDS, Exc, Kind, KindScope, Phase, classify_exception

#: Kinds that an exception's words decide, and a process's last ones. The others follow from how a
#: process ended.
CORRECTABLE = (
    Kind.SIGNAL,
    Kind.ILLEGAL_ACCESS,
    Kind.DEVICE_ASSERT,
    Kind.CUDA_ERROR,
    Kind.OUT_OF_MEMORY,
    Kind.CAPTURE_ERROR,
    Kind.COLLECTIVE_TIMEOUT,
)
_GENERAL = (Kind.ERROR, Kind.ASSERTION, Kind.SETUP_ERROR)


def read_scope(cell: str, devices: Sequence[str], graphs: str) -> KindScope:
    """Return which kinds a stored attempt could have, from its cell's key and what it ran on."""
    on_cuda = any(not one.startswith("cpu") for one in devices)
    axes: Mapping[str, Any] = json.loads(cell)
    return KindScope(graphs=on_cuda or bool(graphs), collectives=int(axes.get("tp", 1) or 1) > 1)


def correct_kind(
    kind: str | None,
    phase: str | None,
    signature: str | None,
    message: str | None,
    scope: KindScope,
) -> str | None:
    """Return the kind that today's rules give a stored failure; the stored one if they cannot tell.

    Of the exception's types only the first is stored, in the signature. A kind that a type may
    have given is therefore changed only if the message names another.
    """
    if kind not in CORRECTABLE or not message:
        return kind
    if kind == Kind.SIGNAL:
        return _correct_abort(signature or "", scope)
    name = (signature or "").partition(":")[0]
    found = classify_exception(Exc((name,), message), in_setup=phase == Phase.SETUP, scope=scope)
    if found in _GENERAL and not _is_out_of_scope(kind, scope):
        return kind
    return found.value


def _correct_abort(signature: str, scope: KindScope) -> str:
    """Return the kind of a death by a signal: that of CUDA's error over which it aborted itself."""
    cause, aborted, _ = signature.rpartition("(SIGABRT")
    found = classify_exception(Exc((), cause), in_setup=False, scope=scope)
    return (found if aborted and found in CUDA_KINDS else Kind.SIGNAL).value


def _is_out_of_scope(kind: str, scope: KindScope) -> bool:
    """Tell whether such an attempt cannot have the kind at all, whatever its message says."""
    if kind == Kind.COLLECTIVE_TIMEOUT:
        return not scope.collectives
    return kind != Kind.OUT_OF_MEMORY and not scope.graphs


def describe_correction(before: str, now: str) -> str:
    """Return the note that a report has for an attempt whose kind is another now."""
    return f"kind {now}: it was stored as {before} by an older version's rules"

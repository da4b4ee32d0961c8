"""The first evidence of each failure signature: the end of rank 0's log, or why it is missing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.report_model import Report, SignatureCount
from harness.core.records import AttemptRow
from harness.report.evidence_folder import list_evidence
from harness.report.formats.text import make_plain

_LOG = "rank0.log"
#: Bytes of a log that are read, from its end.
_TAIL = 6000
#: So many signatures are shown with their evidence.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class SignatureEvidence:
    """A signature with the message and the log of its first attempt; `missing` says why not."""

    signature: SignatureCount
    message: str
    log: str
    missing: str
    kept: str = ""
    """Names of the files that its first attempt has left, and what could not be had."""


def collect_evidence(
    report: Report, attempts: Iterable[AttemptRow]
) -> tuple[SignatureEvidence, ...]:
    """Return the evidence of the most frequent signatures."""
    by_id = {attempt.id: attempt for attempt in attempts}
    return tuple(_collect(one, by_id.get(one.example)) for one in report.signatures[:SHOWN])


def _collect(signature: SignatureCount, attempt: AttemptRow | None) -> SignatureEvidence:
    message = make_plain(signature.message)
    if attempt is None:
        return SignatureEvidence(signature, message, "", "its first attempt is not stored")
    stored = attempt.log_tails.get("0", "")
    log, missing = _read_tail(Path(attempt.folder) / _LOG, stored)
    kept = make_plain(list_evidence(Path(attempt.folder)))
    return SignatureEvidence(signature, message, make_plain(log), missing, kept)


def _read_tail(path: Path, stored: str) -> tuple[str, str]:
    """Return the end of a log and, if there is none, why."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            return file.read().decode("utf-8", "replace"), ""
    except OSError as error:
        if stored:
            return stored, ""
        return "", f"the log {path} cannot be read: {error.strerror}; it may be on another node"

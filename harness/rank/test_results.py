"""Reads the results that other tools write: JUnit XML files and the Test Anything Protocol."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 16 << 20
_MOST_TESTS = 20_000
_TAP_LINE = re.compile(r"^(not )?ok\b[ \t]*(\d*)[ \t]*-?[ \t]*([^#\r\n]*)(?:#[ \t]*(\w+))?")
_TAP_PLAN = re.compile(r"^1\.\.(\d+)")


@dataclass(frozen=True, slots=True)
class FileTest:
    """One test of a result. outcome: passed, failed or skipped."""

    name: str
    outcome: str
    message: str | None = None
    seconds: float = 0.0


class ResultFileError(Exception):
    """The result is missing, broken or says less than it promised."""


def read_junit(path: Path) -> list[FileTest]:
    """Return the test cases of a JUnit file. Raise ResultFileError if it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResultFileError(f"{path}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ResultFileError(f"{path} is larger than {_MOST_BYTES} bytes")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ResultFileError(f"{path} declares a document type: no JUnit file does")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError) as error:
        raise ResultFileError(f"{path} is not XML: {error}") from None
    if root.tag not in ("testsuites", "testsuite"):
        raise ResultFileError(f"{path} is no JUnit file: it begins with <{root.tag}>")
    found = [_read_case(case) for case in root.iter("testcase")][:_MOST_TESTS]
    if not found:
        raise ResultFileError(f"{path} reports no test")
    return found


def _read_case(case: ElementTree.Element) -> FileTest:
    parts = (case.get("classname"), case.get("name"))
    name = "::".join(part for part in parts if part) or "unnamed"
    seconds = _read_number(case.get("time"))
    for problem in ("failure", "error"):
        if (found := case.find(problem)) is not None:
            message = found.get("message") or (found.text or "").strip() or problem
            return FileTest(name, "failed", message, seconds)
    outcome = "skipped" if case.find("skipped") is not None else "passed"
    return FileTest(name, outcome, None, seconds)


def _read_number(text: str | None) -> float:
    try:
        return max(float((text or "0").replace(",", "")), 0.0)
    except ValueError:
        return 0.0


def read_tap(text: str) -> list[FileTest]:
    """Return the tests of a TAP stream.

    Raise ResultFileError if it has no test, bails out, or ran another number than it planned.
    """
    found: list[FileTest] = []
    planned: int | None = None
    for line in text.splitlines():
        if line.startswith("Bail out!"):
            raise ResultFileError(f"TAP: {line[:500]}")
        if plan := _TAP_PLAN.match(line):
            planned = int(plan[1])
        elif test := _TAP_LINE.match(line):
            found.append(_read_tap_test(test, len(found) + 1))
    if planned is None:
        raise ResultFileError("the command wrote no result: its output has no TAP plan (1..N)")
    if planned != len(found):
        raise ResultFileError(f"TAP: {planned} tests were planned, {len(found)} ran")
    return found[:_MOST_TESTS]


def _read_tap_test(line: re.Match[str], position: int) -> FileTest:
    failed, number, description, directive = line.groups()
    name = description.strip() or f"test {number or position}"
    if (directive or "").upper() in ("SKIP", "TODO"):
        return FileTest(name, "skipped")
    return FileTest(name, "failed" if failed else "passed", f"not ok: {name}" if failed else None)

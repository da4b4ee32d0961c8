"""Suites that pytest does not run, and commands around a suite: what an attempt makes of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.spec import AttemptRecord, SuiteCommands
from harness.core.fold import fold
from harness.core.kinds import Kind
from harness.core.result import AttemptResult, Ending

Run = Callable[..., AttemptRecord]


@pytest.fixture
def attempt(run: Run, tmp_path: Path) -> Callable[..., AttemptResult]:
    """Make one attempt in a folder of its own, and fold it."""

    def make(kind: str, *words: str, **commands: Any) -> AttemptResult:
        record = run(
            *words, isolation="spawn", kind=kind, name="suite", cwd=tmp_path,
            commands=SuiteCommands(**commands), timeout_s=10.0,
        )  # fmt: skip
        exits = tuple((end.rank, end.code, end.signal) for end in record.exits)
        left = tuple(record.orphans)
        return fold(record.events, Ending(exits, record.timed_out, 10.0, record.error, left))

    return make


Attempt = Callable[..., AttemptResult]


def outcomes(result: AttemptResult) -> dict[str, str]:
    return {test.id.partition("::")[2] or test.id: test.outcome.value for test in result.tests}


def shell(text: str) -> tuple[str, str, str]:
    return "sh", "-c", text


UNITTEST = """
import sys, unittest
class TestIt(unittest.TestCase):
    def test_passes(self): assert sys.argv[1:] == ["-v"] and __name__ == "__main__"
    def test_fails(self): self.assertEqual(1, 2)
    def test_raises(self): raise OSError("gone")
    @unittest.skip("not here")
    def test_skips(self): ...
    @unittest.expectedFailure
    def test_should_fail(self): ...
    def test_subtests(self):
        for i in range(2):
            with self.subTest(i=i): self.assertEqual(i, 0)
class TestServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("server did not start")
    def test_never(self): ...
if __name__ == "__main__":
    unittest.main()
"""


def test_a_unittest_file_runs_as_python_would_run_it(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "suite.py").write_text(UNITTEST)
    result = attempt("unittest", "suite.py", "-v")
    assert outcomes(result) == {
        "TestIt::test_passes": "passed",
        "TestIt::test_fails": "failed",
        "TestIt::test_raises": "failed",
        "TestIt::test_skips": "skipped",
        "TestIt::test_should_fail": "failed",
        "TestIt::test_subtests": "failed",
        "TestServer::test_never": "precluded",
    }
    kinds = [failure.kind for failure in result.failures]
    assert kinds.count(Kind.SETUP_ERROR) == 1 and Kind.ASSERTION in kinds and Kind.ERROR in kinds


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("import unittest\n", Kind.NO_TESTS, "no tests"),
        ("raise ImportError('no engine')\n", Kind.SETUP_ERROR, "no engine"),
        ("import os; os._exit(0)\n", Kind.EARLY_EXIT, "exit 0"),
        ("import sys; sys.exit(3)\n", Kind.SETUP_ERROR, "status 3 and ran no test"),
    ],
)
def test_a_unittest_file_that_runs_no_test_has_not_passed(
    attempt: Attempt, tmp_path: Path, text: str, kind: Kind, told: str
) -> None:
    (tmp_path / "suite.py").write_text(text)
    failure = attempt("unittest", "suite.py").failure
    assert failure is not None and told in failure.message
    assert failure.kind is kind


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("exit 0", None, ""),
        ("echo '1 failed in 0.01s'; exit 0", None, ""),
        ("echo '1 passed in 0.01s'; exit 3", Kind.ERROR, "exited with 3"),
        ("kill -SEGV $$", Kind.SIGNAL, "SIGSEGV"),
        ("sh -c 'kill -ABRT $$'; exit $?", Kind.SIGNAL, "SIGABRT"),
    ],
)
def test_a_commands_exit_code_alone_is_its_result(
    attempt: Attempt, text: str, kind: Kind | None, told: str
) -> None:
    failure = attempt("command", *shell(text)).failure
    assert (failure and failure.kind) == kind
    assert failure is None or told in failure.message


def test_a_command_that_does_not_exist_has_failed(attempt: Attempt) -> None:
    failure = attempt("command", "no-such-program").failure
    assert failure is not None and "exited with 127" in failure.message


def test_what_a_command_leaves_in_the_background_is_reaped_and_said(attempt: Attempt) -> None:
    result = attempt("command", *shell("setsid sleep 60 >/dev/null 2>&1 & exit 0"))
    assert result.failure is None
    assert any(note.startswith("left behind and reaped: sleep") for note in result.notes)


PASSED = "<testsuite><testcase classname='A' name='b'/></testsuite>"
FAILED = (
    "<testsuites><testsuite><testcase name='b'><failure message='1 != 2'/></testcase>"
    "<testcase name='c'><skipped/></testcase></testsuite></testsuites>"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'echo "{PASSED}" > out.xml', ""),
        (f'echo "{FAILED}" > out.xml; exit 1', "1 != 2"),
        (f'echo "{FAILED}" > out.xml; exit 0', "1 != 2"),
        (f'echo "{PASSED}" > out.xml; exit 1', "exited with 1, but its 1 reported tests passed"),
        ("exit 0", "out.xml was not written"),
        ("touch out.xml", "not XML"),
        ("echo '<html/>' > out.xml", "begins with <html>"),
        ("echo '<testsuite/>' > out.xml", "reports no test"),
    ],
)
def test_a_junit_file_must_be_written_and_agree_with_the_exit_code(
    attempt: Attempt, text: str, told: str
) -> None:
    result = attempt("command", *shell(text), result="junit:out.xml")
    assert [f.message for f in result.failures if told in f.message] or not told
    assert bool(result.failures) is bool(told)


def test_a_junit_file_of_an_earlier_attempt_is_no_result(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "out.xml").write_text(PASSED)
    failure = attempt("command", "true", result="junit:out.xml").failure
    assert failure is not None and "not written" in failure.message


def test_tap_on_stdout_gives_each_test(attempt: Attempt) -> None:
    text = "printf '1..3\\nok 1 - a\\nnot ok 2 - b\\nok 3 - c # SKIP no GPU\\n'; exit 1"
    result = attempt("command", *shell(text), result="tap")
    assert outcomes(result) == {"suite": "passed", "a": "passed", "b": "failed", "c": "skipped"}


def test_commands_around_a_suite_run_before_and_after_it(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_it():\n    assert open('log').read() == 'before\\n'\n"
    )
    around = {"set_up": ("echo before > log",), "tear_down": ("echo after >> log", "exit 3")}
    result = attempt("pytest", "test_it.py", **around)
    assert result.failure is None
    assert (tmp_path / "log").read_text() == "before\nafter\n"
    assert any("teardown command 'exit 3' exited with 3" in note for note in result.notes)


def test_a_setup_command_that_fails_is_the_attempts_failure(
    attempt: Attempt, tmp_path: Path
) -> None:
    result = attempt("command", "touch", "ran", set_up=("exit 4",), tear_down=("touch after",))
    assert result.failure is not None and result.failure.kind is Kind.SETUP_ERROR
    assert "'exit 4' exited with 4" in result.failure.message
    assert not (tmp_path / "ran").exists() and (tmp_path / "after").exists()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import os; os.kill(os.getpid(), 11)", Kind.SIGNAL),
        ("import os; os._exit(5)", Kind.EARLY_EXIT),
    ],
)
def test_commands_after_a_suite_run_also_if_it_crashed(
    attempt: Attempt, tmp_path: Path, code: str, kind: Kind
) -> None:
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {code}\n")
    result = attempt("pytest", "test_it.py", tear_down=("touch after",))
    assert result.failure is not None and result.failure.kind is kind
    assert (tmp_path / "after").exists()


def test_files_that_the_attempt_wrote_are_kept_and_links_are_not(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/old.txt").write_text("old")
    os.utime(tmp_path / "work/old.txt", (1, 1))
    text = "mkdir out; echo new > out/new.txt; ln -s /etc/passwd out/link.txt"
    run(
        *shell(text), isolation="spawn", kind="command", name="suite", cwd=tmp_path / "work",
        commands=SuiteCommands(collect=("**/*.txt",)),
    )  # fmt: skip
    kept = tmp_path / "attempt/files"
    assert [str(path.relative_to(kept)) for path in kept.rglob("*.txt")] == ["out/new.txt"]

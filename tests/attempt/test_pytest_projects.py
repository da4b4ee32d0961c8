"""Any pytest project: what its own command would end with, an attempt ends with, too."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.attempt.spec import AttemptRecord, Isolation
from harness.core.fold import fold
from harness.core.kinds import Kind, Phase
from harness.core.result import AttemptResult, Ending

Run = Callable[..., AttemptRecord]
Attempt = Callable[..., AttemptResult]


@pytest.fixture
def attempt(run: Run, tmp_path: Path) -> Attempt:
    """Write a project's files, make one attempt of it, and fold it."""

    def make(*arguments: str, isolation: Isolation = "fork", **files: str) -> AttemptResult:
        for name, text in files.items():
            ending = ".ini" if name == "pytest" else ".py"
            (tmp_path / f"{name}{ending}").write_text(textwrap.dedent(text))
        # Plugins of this machine cost a second of each attempt, and no test is of them.
        env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        record = run(
            "test_it.py",
            arguments=arguments,
            isolation=isolation,
            cwd=tmp_path,
            timeout_s=20.0,
            env=env,
        )
        exits = tuple((end.rank, end.code, end.signal) for end in record.exits)
        return fold(record.events, Ending(exits, record.timed_out, 20.0, record.error))

    return make


PASSES = "def test_it(): ...\n"


def test_each_attempt_has_a_cache_of_its_own_and_the_projects_is_untouched(
    attempt: Attempt, tmp_path: Path
) -> None:
    result = attempt(
        "--ff",
        pytest="[pytest]\naddopts = --strict-config\ncache_dir = kept\n",
        test_it="""
        def test_it(request):
            assert request.config.cache.get("count", 0) == 0
            request.config.cache.set("count", 1)
        """,
    )
    assert result.failure is None
    assert attempt("--ff").failure is None
    assert not (tmp_path / "kept").exists()


def test_a_project_without_the_cache_plugin_stays_without_it(attempt: Attempt) -> None:
    ini = "[pytest]\naddopts = -p no:cacheprovider --strict-config\n"
    code = "def test_it(request): assert not hasattr(request.config, 'cache')\n"
    assert attempt(pytest=ini, test_it=code).failure is None


@pytest.mark.parametrize(
    ("arguments", "files", "told"),
    [
        (("--no-such-option",), {"test_it": PASSES}, "unrecognized arguments: --no-such-option"),
        (("-k", "a b"), {"test_it": PASSES}, "Wrong expression passed to '-k'"),
        (("gone.py",), {"test_it": PASSES}, "file or directory not found: gone.py"),
        ((), {"test_it": PASSES, "conftest": "import no_such_module\n"}, "no_such_module"),
    ],
)
def test_a_usage_error_is_told_in_pytests_words(
    attempt: Attempt, arguments: tuple[str, ...], files: dict[str, str], told: str
) -> None:
    failure = attempt(*arguments, **files).failure
    assert failure is not None and told in failure.message
    assert failure.kind is Kind.SETUP_ERROR


def test_arguments_reach_pytest(attempt: Attempt) -> None:
    result = attempt("-m", "not gpu", "-o", "xfail_strict=true", test_it="""
        import pytest
        @pytest.mark.gpu
        def test_gpu(): assert False
        @pytest.mark.xfail
        def test_xfail(): ...
    """)  # fmt: skip
    assert [test.id for test in result.tests] == ["test_it.py::test_xfail"]
    assert result.failure is not None and result.failure.kind is Kind.ASSERTION


def test_a_failure_in_an_xdist_worker_has_its_own_signature(attempt: Attempt) -> None:
    result = attempt("-p", "xdist", "-n", "1", test_it="""
        def check(a): assert a == 2
        def test_it(): check(1)
        def test_fails(): raise OSError("gone")
    """)  # fmt: skip
    signatures = {failure.signature for failure in result.failures}
    assert signatures == {
        "AssertionError: assert <n> == <n> @ check",
        "OSError: gone @ test_fails",
    }


def test_a_worker_of_xdist_that_dies_is_an_early_exit(attempt: Attempt) -> None:
    code = "import os\ndef test_it(): os._exit(3)\n"
    failure = attempt("-p", "xdist", "-n", "1", "--max-worker-restart=0", test_it=code).failure
    assert failure is not None and failure.kind is Kind.EARLY_EXIT


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_what_pytest_timeout_ends_is_a_hang(attempt: Attempt, method: str) -> None:
    code = "import time\ndef test_it(): time.sleep(30)\n"
    failure = attempt(
        "-p", "pytest_timeout", "--timeout", "0.3", "--timeout-method", method, test_it=code
    ).failure
    assert failure is not None and failure.kind is Kind.HANG


def test_a_crash_at_the_interpreters_exit_is_the_attempts(
    attempt: Attempt, isolation: Isolation
) -> None:
    code = "import atexit, os\ndef test_it(): atexit.register(os.kill, os.getpid(), 11)\n"
    failure = attempt(isolation=isolation, test_it=code).failure
    assert failure is not None and (failure.kind, failure.phase) == (Kind.SIGNAL, Phase.TEARDOWN)


def test_a_thread_that_never_ends_is_a_hang_at_exit(attempt: Attempt) -> None:
    code = """
    import threading, sys
    for module in [*sys.modules.values()]:
        if getattr(module, "THREAD_SECONDS", None): module.THREAD_SECONDS = 0.2
    def test_it(): threading.Thread(target=threading.Event().wait, name="waiter").start()
    """
    failure = attempt(test_it=code).failure
    assert failure is not None and failure.kind is Kind.HANG
    assert "waiter" in failure.message


def test_a_conftest_that_replaces_pytests_capture_changes_no_outcome(attempt: Attempt) -> None:
    conftest = """
    def pytest_configure(config):
        manager = config.pluginmanager.getplugin("capturemanager")
        manager.stop_global_capturing()
        config.pluginmanager.unregister(manager)
    """
    code = "def test_it():\n    print('seen')\n    assert False\n"
    failure = attempt(conftest=conftest, test_it=code).failure
    assert failure is not None and failure.kind is Kind.ASSERTION


def test_tmp_path_of_a_failed_attempt_is_kept_and_of_a_passed_one_is_not(
    attempt: Attempt, tmp_path: Path
) -> None:
    code = "def test_it(tmp_path):\n    (tmp_path / 'out.txt').write_text('x')\n    assert {}\n"
    assert attempt(test_it=code.format(True)).failure is None
    assert not (tmp_path / "attempt/tmp_path").exists()
    assert attempt(test_it=code.format(False)).failure is not None
    assert (tmp_path / "attempt/tmp_path/test_it0/out.txt").read_text() == "x"

"""How attempts are made, if the options do not say."""

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.revision import Revision
from harness.driver.options import RunOptions
from harness.driver.processes import choose_isolation, make_supervisor_settings

ENGINE = "from harness.engine.engine import Engine\n"


@pytest.fixture(autouse=True)
def folder_with_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "engine.py").write_text(ENGINE)
    (tmp_path / "foreign.py").write_text("import json\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("suites", "device", "isolation"),
    [
        (("engine.py",), "cpu", "fork"),
        (("engine.py::TestOne",), "cuda", "fork"),
        (("foreign.py",), "cpu", "spawn"),
        (("foreign.py",), "cuda", "fork"),
        (("engine.py", "foreign.py"), "cpu", "spawn"),
    ],
)
def test_the_default_isolation_follows_from_suite_and_device(
    suites: tuple[str, ...], device: str, isolation: str
) -> None:
    assert choose_isolation(RunOptions(suites=suites), device) == isolation


def test_an_option_and_another_interpreter_decide_before_the_suite() -> None:
    assert choose_isolation(RunOptions(suites=("engine.py",), isolation="spawn"), "cpu") == "spawn"
    other = RunOptions(suites=("engine.py",), revs=("a", "b"), rev_pythons=("/x", "/y"))
    assert choose_isolation(other, "cpu") == "spawn"


@pytest.mark.parametrize(("suite", "attempts"), [("engine.py", 10), ("foreign.py", 1)])
def test_a_foreign_suites_zygote_on_cuda_serves_one_attempt(suite: str, attempts: int) -> None:
    settings = make_supervisor_settings(RunOptions(suites=(suite,)), "cuda", "fork", ())
    assert settings.attempts_per_zygote == attempts
    assert ("torch" in settings.preload) == (suite == "engine.py")


def test_revisions_get_an_allow_list_and_no_folder_to_import_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EDITOR", "vi")
    options, revision = (
        RunOptions(suites=("engine.py",)),
        Revision("main", "0" * 40, "0" * 8, "python"),
    )
    of_a_person = make_supervisor_settings(options, "cpu", "fork", ())
    of_a_revision = make_supervisor_settings(options, "cpu", "fork", (revision,))
    assert of_a_person.environment["EDITOR"] == "vi" and of_a_person.cwd == Path.cwd()
    assert "EDITOR" not in of_a_revision.environment and of_a_revision.cwd is None
    assert not any(name.startswith("harness") for name in of_a_revision.preload)


def test_a_sandbox_is_tried_unless_it_is_refused_and_protects_store_and_results(
    tmp_path: Path,
) -> None:
    tried = make_supervisor_settings(RunOptions(suites=("engine.py",)), "cpu", "fork", ())
    assert tried.sandbox.choice == "auto" and tried.sandbox.parts == ("process",)
    assert {tmp_path / ".harness/runs", tmp_path / ".harness/store.sqlite"} <= {
        *tried.sandbox.protected
    }
    options = RunOptions(suites=("engine.py",), sandbox=("required", "network"))
    required = make_supervisor_settings(options, "cpu", "fork", (), Path("my.sqlite")).sandbox
    assert required.choice == "required" and "network" in required.parts
    assert tmp_path / "my.sqlite-wal" in required.protected


@pytest.mark.parametrize("sandbox", [("maybe",), ("auto", "disk")])
def test_an_unknown_sandbox_is_refused(sandbox: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--sandbox"):
        RunOptions(sandbox=sandbox)

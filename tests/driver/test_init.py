"""`harness init`: the first configuration names what the repository holds, and can be read."""

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.driver.commands.init import write_configuration
from harness.driver.configuration.read import read_configuration


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_each_kind_of_suite_that_is_found_has_its_own_table(folder: Path) -> None:
    write(folder / "tests/test_a.py", "def test_it(): ...\n")
    write(folder / "tests/unit/test_b.py", "if __name__ == '__main__':\n    unittest.main()\n")
    write(folder / "build/CTestTestfile.cmake")
    write(folder / "Makefile", "all:\ncheck:\n\ttrue\n")
    write(folder / ".venv/bin/python")
    assert write_configuration() == 0
    suites = read_configuration().suites
    assert list(suites) == ["tests", "test_b", "ctest", "make"]
    assert (suites["tests"].pytest, suites["tests"].venv) == ("tests", ".venv")
    assert suites["test_b"].unittest == "tests/unit/test_b.py"
    assert suites["ctest"].result == "junit:build/harness-junit.xml"
    assert suites["make"].command == ["make", "check"]


def test_a_configuration_is_never_overwritten(folder: Path) -> None:
    write(folder / "tests/test_a.py")
    write(folder / "pyproject.toml", "[tool.harness.suites.a]\npytest = 'tests'\n")
    with pytest.raises(UsageError, match="already"):
        write_configuration()
    write(folder / "pyproject.toml")
    write(folder / "harness.toml")
    with pytest.raises(UsageError, match="already"):
        write_configuration()


def test_a_folder_without_tests_is_told_what_was_looked_for(folder: Path) -> None:
    write(folder / "readme.txt")
    with pytest.raises(UsageError, match="found no tests/"):
        write_configuration()

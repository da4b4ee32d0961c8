"""The composite action's own script, run as a process on another repository's suite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
STEPS = {
    step["name"]: step
    for step in yaml.safe_load((PROJECT / "action.yml").read_text())["runs"]["steps"]
}
SUITE = "def test_it():\n    assert {}\n"


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """Where the install step puts the harness; here it is this checkout's."""
    folder = tmp_path / "temp/harness-action/bin"
    folder.mkdir(parents=True)
    script = folder / "harness"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[0] = {str(PROJECT)!r}\n"
        "from harness.cli.main import main\nmain()\n"
    )
    script.chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


def measure(
    bin_folder: Path, **inputs: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run the measuring step; its outputs."""
    folder = bin_folder.parents[2]
    step = STEPS["Measure"]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("CI", "PYTEST_", "RAY_"))}
    plain.pop("PYTHONPATH", None)
    named = {name: inputs.get(name, "") for name in step["env"]}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **plain,
            **named,
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    lines = (folder / "output").read_text().splitlines()
    return done, dict(line.split("=", 1) for line in lines)


def test_another_repositorys_suites_are_measured_with_one_input(bin_folder: Path) -> None:
    folder = bin_folder.parents[2]
    (folder / "test_bad.py").write_text(SUITE.format(False))
    (folder / "test_good.py").write_text(SUITE.format(True))
    done, outputs = measure(
        bin_folder,
        SUITES="test_good.py\n  test_bad.py\n",
        INPUT_repeats="2",
        INPUT_order="ascending",
        INPUT_tp="1",
        INPUT_device="cpu",
    )
    assert done.returncode == 1, done.stderr
    assert outputs["exit-code"] == "1"
    assert outputs["outcome"] == "failed"
    run = json.loads(Path(outputs["run-json"]).read_text())
    counted = {cell["suite"]: (cell["failed"], cell["attempts"]) for cell in run["cells"]}
    assert counted == {"test_good.py": (0, 2), "test_bad.py": (2, 2)}
    assert "2 of 4 attempts failed" in (folder / "summary.md").read_text().replace("\xa0", " ")


@pytest.mark.parametrize(
    "outcome", ["passed\nexit-code=0\nrun-json=/etc/passwd", "green", "", 7], ids=repr
)
def test_a_result_that_a_test_wrote_sets_no_output(bin_folder: Path, outcome: object) -> None:
    script = bin_folder / "harness"
    forged = json.dumps({"verdict": {"outcome": outcome}})
    script.write_text(
        "#!/usr/bin/env bash\nwhile [[ $1 != --json ]]; do shift; done\n"
        f"cat > \"$2\" <<'END'\n{forged}\nEND\n"
    )
    done, outputs = measure(bin_folder, SUITES="test_x.py")
    assert done.returncode == 2
    assert outputs == {"exit-code": "0"}


@pytest.mark.parametrize(
    "inputs",
    [
        {"SUITES": "$(touch hacked)"},
        {"SUITES": "test_x.py", "INPUT_repeats": "2; touch hacked"},
        {"SUITES": "--store=hacked"},
    ],
    ids=["suite", "repeats", "option as a suite"],
)
def test_inputs_are_words_and_no_script(bin_folder: Path, inputs: dict[str, str]) -> None:
    done, outputs = measure(bin_folder, **inputs)
    assert done.returncode == 2
    assert outputs == {"exit-code": "2"}
    assert not (bin_folder.parents[2] / "hacked").exists()

"""The policy file is read strictly: any doubt is an error that names the key to mend."""

from pathlib import Path
from typing import Any

import pytest

from harness.bot.policy.policy_file import Policy, read_policy
from harness.core.errors import UsageError
from tests.bot.test_access import POLICY


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "version"),
        ("version = 2", "version"),
        ("= 1", "not TOML"),
        ("\xff", "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
    ],
)
def test_a_broken_policy_names_the_key_to_mend(tmp_path: Path, text: str, names: str) -> None:
    file = tmp_path / "harness.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=names):
        read_policy(file)


def test_a_missing_policy_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_policy(tmp_path / "harness.toml")


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"surprise": 1}, "surprise"),
        ({"grant": []}, "grant"),
        ({"grant": [{"suites": ["a"], "repeats": 1, "gpus": 0}]}, "exactly one"),
        (
            {"grant": [{"permission": "read", "suites": ["a"], "repeats": 1, "gpus": 0}]},
            "permission",
        ),
        ({"grant": [{"author": True, "suites": ["../a"], "repeats": 1, "gpus": 0}]}, "suites"),
        ({"grant": [{"author": True, "suites": [], "repeats": 1, "gpus": 0}]}, "suites"),
        ({"runners": {"one": ["gpu"]}}, "runners"),
        ({"runners": {"1": ["gpu"]}}, "default_gpus"),
        ({"runners": {"0": ["${{ evil }}"]}}, "runners"),
        ({"default_repeats": "20"}, "default_repeats"),
    ],
)
def test_a_policy_is_read_strictly(changed: dict[str, Any], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        Policy.model_validate(POLICY | changed)

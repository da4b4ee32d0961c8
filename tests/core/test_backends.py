"""The table of backends: every reason is said, and saying it loads nothing."""

import subprocess
import sys

import pytest

from harness.core.backends import BACKENDS, available_backends, check_backend, unavailable
from harness.core.errors import UsageError


def test_torch_native_runs_on_the_cpu_and_nothing_else_does() -> None:
    assert available_backends("cpu") == ["torch_native"]


@pytest.mark.parametrize("name", [name for name, row in BACKENDS.items() if not row.implemented])
def test_what_is_not_implemented_says_so(name: str) -> None:
    assert "not implemented" in (unavailable(name, "cuda") or "")


def test_a_refusal_names_the_reason_and_what_is_available() -> None:
    with pytest.raises(UsageError, match=r"fa2 has no cpu kernel.*available here: torch_native"):
        check_backend("fa2", "cpu")


def test_an_unknown_backend_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="'fa9': choose from fa2, fa3, flex, torch_native"):
        unavailable("fa9", "cpu")


def test_asking_imports_no_kernel_library() -> None:
    code = (
        "import sys; from harness.core.backends import *; available_backends('cuda'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The table of backends: every reason is said, and saying it loads nothing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.backends import (
    BACKENDS,
    check_backend,
    explain_absence,
    explain_misfit,
    find_kernel_module,
    get_spec,
    list_available,
    narrow_spec,
)
from harness.core.errors import UsageError


def test_torch_native_runs_on_the_cpu_and_nothing_else_does() -> None:
    assert list_available("cpu") == ["torch_native"]


def test_a_refusal_names_the_reason_and_what_is_available() -> None:
    with pytest.raises(UsageError, match=r"fa2 has no cpu kernel.*available here: torch_native"):
        check_backend("fa2", "cpu")


def test_an_unknown_backend_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'fa9': .*choose from fa2, fa3, flex, torch_native"):
        explain_absence("fa9", "cpu")


def test_asking_imports_no_kernel_library() -> None:
    code = (
        "import sys; from harness.core.backends import *; list_available('cuda'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def why_not(name: str, **changes: object) -> str | None:
    fitting: dict[str, object] = {
        "page_size": 16, "dtype": "bfloat16", "head_dim": 64, "splits": 0,
    }  # fmt: skip
    return explain_misfit(name, **{**fitting, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BACKENDS)
def test_what_fits_has_no_reason(name: str) -> None:
    assert why_not(name) is None
    assert why_not(name, head_dim=None) is None


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("fa3", {"page_size": 512}, "fa3: page_size 512 is not supported (1 to 256 are)"),
        ("fa2", {"dtype": "float32"}, "dtype float32 is not supported (bfloat16, float16 are)"),
        ("fa2", {"head_dim": 96}, "head_dim 96 is not supported (64, 128 are)"),
        ("flex", {"splits": 1}, "attention_splits 1 cannot be set: it has no split control"),
        ("torch_native", {"splits": 2}, "no split control"),
        ("fa2", {"splits": 129}, "attention_splits 129 is not supported (0 to 128 are)"),
        ("fa3", {"splits": -1}, "attention_splits -1 is not supported (0 to 256 are)"),
    ],
)
def test_what_does_not_fit_is_named_with_what_does(
    name: str, changes: dict[str, object], told: str
) -> None:
    assert told in (why_not(name, **changes) or "")


def test_torch_native_takes_any_head_dim_and_float32() -> None:
    assert why_not("torch_native", head_dim=7, dtype="float32") is None


@pytest.mark.parametrize(
    ("name", "page_size", "native"),
    [("fa2", 256, True), ("fa2", 128, False), ("fa3", 1, True), ("flex", 256, False)],
)
def test_who_reads_the_page_table(name: str, page_size: int, native: bool) -> None:
    assert BACKENDS[name].reads_pages(page_size) is native


def test_a_build_of_fa3_narrows_its_row() -> None:
    flags = {f"FLASHATTENTION_DISABLE_{part}": True for part in ("PAGEDKV", "FP16", "HDIM128")}
    row = narrow_spec(BACKENDS["fa3"], flags)
    assert not row.reads_pages(256)
    assert (row.dtypes, row.head_dims, row.max_splits) == (("bfloat16",), (64,), 256)
    assert narrow_spec(row, {"FLASHATTENTION_DISABLE_SPLIT": True}).max_splits == 0
    assert narrow_spec(BACKENDS["fa3"], {}) == BACKENDS["fa3"]


def test_the_installed_build_is_read_from_its_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fa3_fwd_interface.py").write_text("raise SystemExit('not to be imported')\n")
    (tmp_path / "fa3_fwd_config.py").write_text(
        "CONFIG = {'build_flags': {'FLASHATTENTION_DISABLE_PAGEDKV': True}}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fa3_fwd_config", raising=False)
    assert find_kernel_module("fa3") == "fa3_fwd_interface"
    assert explain_absence("fa3", "cuda") is None
    assert get_spec("fa3") == replace(BACKENDS["fa3"], native_pages=0)
    sys.modules.pop("fa3_fwd_config")


def test_a_build_of_fa3_that_reads_pages_is_preferred_and_found_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fa3_fwd_interface.py").write_text("")
    (tmp_path / "fa3_fwd_config.py").write_text(
        "CONFIG = {'build_flags': {'FLASHATTENTION_DISABLE_PAGEDKV': True}}\n"
    )
    (tmp_path / "sgl_kernel").mkdir()
    (tmp_path / "sgl_kernel" / "__init__.py").write_text("raise SystemExit('not to be imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fa3_fwd_config", raising=False)
    assert find_kernel_module("fa3") == "fa3_fwd_interface"
    (tmp_path / "sgl_kernel" / "flash_attn.py").write_text("")
    assert find_kernel_module("fa3") == "sgl_kernel.flash_attn"
    assert get_spec("fa3").reads_pages(1)
    (tmp_path / "flash_attn_interface.py").write_text("")
    assert find_kernel_module("fa3") == "flash_attn_interface"
    sys.modules.pop("fa3_fwd_config")


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="fa2 needs flash_attn, which is not installed"):
        find_kernel_module("fa2")

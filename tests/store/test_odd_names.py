"""Names of folders that are not UTF-8."""

import os
from pathlib import Path

from harness.store.open import open_store


def test_a_store_lies_in_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff")
    folder.mkdir()
    with open_store(str(folder / "store.sqlite"), write=True) as store:
        assert list(store.runs()) == []
    with open_store(str(folder / "store.sqlite"), write=False) as store:
        assert list(store.runs()) == []

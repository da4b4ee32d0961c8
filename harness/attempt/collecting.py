"""Files that an attempt leaves and that are worth keeping: those that the configuration names."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.attempt.spec import AttemptRecord, AttemptSpec

#: In an attempt's folder.
FILES_FOLDER = "files"
TMP_PATH_FOLDER = "tmp_path"
MOST_BYTES = 64 << 20
MOST_FILES = 500


def collect_files(spec: AttemptSpec, record: AttemptRecord) -> None:
    """Copy what the suite's `collect` patterns name and the attempt wrote. Note what was left out.

    Links are not followed: the suite could point them at any file of this user.
    """
    left_out, total = 0, 0
    for count, path in enumerate(_list_files(spec, record.started)):
        total += path.stat().st_size
        if count >= MOST_FILES or total > MOST_BYTES:
            left_out += 1
            continue
        target = spec.folder / FILES_FOLDER / path.relative_to(spec.cwd)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
    if left_out:
        record.notes.append(
            f"{left_out} files were not kept: an attempt keeps {MOST_FILES} files and "
            f"{MOST_BYTES >> 20} MiB"
        )


def keep_temporary(attempt: Path, temporary: Path) -> str:
    """Copy what pytest's `tmp_path` held, and return a note for what did not fit.

    attempt: its folder; temporary: the rank's TMPDIR, which is about to go. Links are not followed.
    """
    total, left_out = 0, 0
    for path in sorted(temporary.glob("pytest-of-*/pytest-*/**/*")):
        if path.is_symlink() or not path.is_file() or any(p.is_symlink() for p in path.parents):
            continue
        total += path.stat().st_size
        if total > MOST_BYTES:
            left_out += 1
            continue
        # Without pytest-of-USER/pytest-0: one attempt has one of them.
        target = attempt / TMP_PATH_FOLDER / Path(*path.relative_to(temporary).parts[2:])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target, follow_symlinks=False)
    return f"{left_out} files of tmp_path were not kept: {MOST_BYTES >> 20} MiB are" * bool(
        left_out
    )


def _list_files(spec: AttemptSpec, since: float) -> Iterator[Path]:
    """Yield regular files of the attempt's time. A clock of a file system is a tick behind."""
    seen: set[Path] = set()
    for pattern in spec.commands.collect:
        for path in sorted(spec.cwd.glob(pattern)):
            whole = Path(os.path.realpath(path))
            inside = whole.is_relative_to(os.path.realpath(spec.cwd))
            if path in seen or path.is_symlink() or not inside or not path.is_file():
                continue
            seen.add(path)
            if path.stat().st_mtime >= since - 0.1:
                yield path

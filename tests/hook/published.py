"""Sources of published packages: single modules, read from a wheel where it lies.

pip finds the wheel; of its hundreds of megabytes only the pages that hold the modules are fetched.
They are kept in a cache folder, since a published version never changes.
"""

import ast
import builtins
import io
import itertools
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

CACHE = Path.home() / ".cache" / "harness" / "published"
_PAGE = 1 << 20


class RemoteFile(io.RawIOBase):
    """A file behind a URL whose server can send parts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._at = 0
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=30) as head:
            self._size = int(head.headers["Content-Length"])

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        part = urllib.request.Request(self._url, headers={"Range": f"bytes={self._at}-{last}"})
        with urllib.request.urlopen(part, timeout=30) as response:
            data = response.read()
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def read_sources(package: str, version: str, modules: Iterable[str]) -> dict[str, str]:
    """Return the sources of the modules that this version has. Skips the test if it is offline."""
    folder = CACHE / f"{package}-{version}"
    if not folder.exists():
        try:
            _fetch(package, version, modules, folder)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            pytest.skip(f"{package} {version} cannot be fetched from a package index: {error}")
    found = {module: folder / f"{module}.py" for module in modules}
    return {module: path.read_text() for module, path in found.items() if path.exists()}


def _fetch(package: str, version: str, modules: Iterable[str], folder: Path) -> None:
    pages = cast("Any", io.BufferedReader(RemoteFile(_find_wheel(package, version)), _PAGE))
    with zipfile.ZipFile(pages) as wheel:
        files = {module: f"{module.replace('.', '/')}.py" for module in modules}
        there = {*wheel.namelist()}
        sources = {m: wheel.read(file) for m, file in files.items() if file in there}
    folder.mkdir(parents=True)
    for module, source in sources.items():
        (folder / f"{module}.py").write_bytes(source)


def _find_wheel(package: str, version: str) -> str:
    options = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--report", "-"]
    options += ["--only-binary", ":all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, f"{package}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    report = json.loads(done.stdout[done.stdout.index("{") :])
    url: str = report["install"][0]["download_info"]["url"]
    return url


class _Source:
    """The loader of a module of which only parts can be executed here."""

    def __init__(self, source: str) -> None:
        self._source = source

    def get_source(self, _: str) -> str:
        return self._source


def make_module(name: str, source: str, method: str) -> Any:
    """Return a module that holds the one method of the first class that has it, as published.

    All that the method uses beside builtins stands in: the rest needs a GPU, and is not patched.
    """
    owner, function = _find_method(source, method)
    tree = ast.Module([ast.ClassDef(owner, [], [], [function], [])], [])
    module = ModuleType(name)
    module.__spec__ = cast("Any", MagicMock(loader=_Source(source)))
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    stand_ins = {one: MagicMock(name=one) for one in names if not hasattr(builtins, one)}
    vars(module).update(stand_ins, product=itertools.product, tqdm=_Tqdm, **_BUILT_IN)
    for node in [*ast.walk(function)]:
        if isinstance(node, ast.arg):
            node.annotation = None
    function.returns, function.decorator_list = None, []
    exec(compile(ast.fix_missing_locations(tree), name, "exec"), vars(module))
    return module


_BUILT_IN = {"__builtins__": builtins}


class _Progress(list[Any]):
    def set_description(self, _: str) -> None: ...

    def update(self, *_: object) -> None: ...


class _Tqdm:
    """tqdm as a module and as a function."""

    def __new__(cls, items: Iterable[Any], **_: object) -> Any:
        return _Progress(items)

    tqdm = staticmethod(lambda items, **_: _Progress(items))


def _find_method(source: str, method: str) -> tuple[str, ast.FunctionDef]:
    for node in ast.walk(ast.parse(source)):
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef) and inner.name == method:
                assert isinstance(node, ast.ClassDef)
                return node.name, inner
    raise AssertionError(f"no class of the published source has {method}")

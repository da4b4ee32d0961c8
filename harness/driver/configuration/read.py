"""Finds and reads the configuration. A mistake is one line: the file, the key, what is known."""

import difflib
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.core.errors import UsageError
from harness.driver.configuration.model import Configuration

FILE = "harness.toml"
_MAX_BYTES = 1 << 20
_MAX_ERRORS = 5


def read_configuration(folder: Path = Path()) -> Configuration:
    """Return the folder's configuration, an empty one if there is none.

    `harness.toml` wins over `pyproject.toml`; both at once, like any mistake, raise UsageError.
    """
    own, project = folder / FILE, folder / "pyproject.toml"
    table = _load(project).get("tool", {}).get("harness") if project.is_file() else None
    if not own.is_file():
        return _validate(table, "pyproject.toml [tool.harness]") if table else Configuration()
    if table is not None:
        raise UsageError(f"both {FILE} and pyproject.toml [tool.harness] exist: keep one of them")
    return _validate(_load(own), FILE)


def make_schema() -> dict[str, Any]:
    """Return the JSON schema of `harness.toml`, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Configuration.model_json_schema(),
    }


def _load(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise UsageError(f"{path.name} is larger than {_MAX_BYTES} bytes")
        return tomllib.loads(data.decode())
    except OSError as error:
        raise UsageError(f"{path.name} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}") from None


def _validate(table: object, where: str) -> Configuration:
    try:
        return Configuration.model_validate(table)
    except ValidationError as error:
        found = [_describe(one) for one in error.errors(include_url=False)]
        more = f"; and {len(found) - _MAX_ERRORS} more" if len(found) > _MAX_ERRORS else ""
        raise UsageError(f"{where}: {'; '.join(found[:_MAX_ERRORS])}{more}") from None


def _describe(error: ErrorDetails) -> str:
    # A union's or a key's branch is no key of the file.
    place = [part for part in error["loc"] if part != "[key]" and not _is_branch(part)]
    where = ".".join(map(str, place)) or "the file"
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}{_suggest(error['loc'])}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _is_branch(part: int | str) -> bool:
    return isinstance(part, str) and ("[" in part or "constrained-str" in part)


def _suggest(place: tuple[int | str, ...]) -> str:
    """Return the nearest known key, or all that are known there."""
    known = _list_keys(Configuration, place[:-1])
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}"


def _list_keys(model: Any, place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known at a place, walking the models' fields and their types."""
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:
            model = _step_into(model)
    model = model if isinstance(model, type) else _step_into(model)
    return list(model.model_fields) if issubclass(model, BaseModel) else []


def _step_into(annotation: Any) -> Any:
    """Return what a dictionary's or list's members are."""
    arguments = [one for one in typing.get_args(annotation) if one is not types.NoneType]
    member = arguments[-1] if typing.get_origin(annotation) in (dict, list) else arguments[0]
    while typing.get_origin(member) is typing.Annotated:
        member = typing.get_args(member)[0]
    return member

"""`.github/harness.toml`: who may ask for what. Read strictly: any doubt is an error."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.core.errors import UsageError

MAX_BYTES = 64_000

_Login = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(\[bot\])?$")]
_Place = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?$")
]
_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
_Gpus = Annotated[int, Field(ge=0, le=64)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Grant(_Table):
    """Who, by exactly one of `permission`, `users` and `author`, may measure what, how much."""

    permission: Literal["triage", "write", "maintain", "admin"] | None = None
    """This role in the repository, or a higher one."""
    users: list[_Login] = []
    """These users, whatever their role."""
    author: bool = False
    """The author of the pull request, where its branch lies in this repository."""
    suites: list[_Place] = Field(min_length=1)
    """Files, and folders with all below them."""
    repeats: int = Field(ge=1, le=10_000)
    """The most repeats per cell."""
    gpus: _Gpus
    """The most GPUs."""

    @model_validator(mode="after")
    def _check_kind(self) -> "Grant":
        if (self.permission is not None) + bool(self.users) + self.author != 1:
            raise ValueError("give exactly one of permission, users and author")
        return self


class Quota(_Table):
    """What one user, or one pull request, may use."""

    gpu_minutes_per_day: int = Field(ge=0)
    """GPUs times minutes, of the last 24 hours; a CPU runner counts as one GPU."""
    active: int = Field(ge=1, le=10)
    """The most measurements that wait or run at once."""
    cooldown_minutes: int = Field(ge=0)
    """Between the start of a measurement and the next command for one."""


class Limits(_Table):
    """What bounds every measurement."""

    minutes: int = Field(ge=1, le=340)
    """Wall clock of one measurement, in minutes."""
    tp_without_gpu: int = Field(default=4, ge=1, le=64)
    """The most tensor-parallel ranks on a runner without a GPU."""
    commands_per_day: int = Field(ge=1, le=200)
    """The most commands of one user in the last 24 hours, refused ones included."""
    user: Quota
    pull_request: Quota


class Policy(_Table):
    """The file, version 1."""

    version: Literal[1]
    grant: list[Grant] = Field(min_length=1)
    limits: Limits
    runners: dict[str, Annotated[list[_Label], Field(min_length=1)]] = Field(min_length=1)
    """Labels of the runner for each number of GPUs; "0" is one without."""
    default_gpus: _Gpus
    """Where a command says no --gpus."""
    default_repeats: int = Field(ge=1, le=10_000)
    """Where a command says no --repeats."""

    @model_validator(mode="after")
    def _check_runners(self) -> "Policy":
        wrong = [key for key in self.runners if not (key.isascii() and key.isdigit())]
        if wrong:
            raise ValueError('runners: each key is a number of GPUs, as in 1 = ["gpu-1"]')
        if str(self.default_gpus) not in self.runners:
            raise ValueError(f"runners: none for default_gpus = {self.default_gpus}")
        return self


def read_policy(path: Path) -> Policy:
    """Read and check the file. Raise UsageError that names the key to mend."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({type(error).__name__})") from None
    if len(text) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return Policy.model_validate(tomllib.loads(text.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not TOML ({error})") from None
    except ValidationError as error:
        raise UsageError(f"{path}: {_describe_first(error)}") from None


def _describe_first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, found["loc"]))
    return f"{place}: {found['msg']}" if place else found["msg"]

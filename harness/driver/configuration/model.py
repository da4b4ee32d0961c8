"""What a configuration may hold. The fields' docstrings are the schema's descriptions."""

from datetime import date
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from harness.core.known_flakes import KnownFlake
from harness.core.suite_setup import Overlay, SuiteKind, SuiteSetup
from harness.hook.registry import parse_parts

#: Names that no path and no node id can be mistaken for.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=80)]
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
_ValueName = Annotated[str, StringConstraints(pattern=r"^[^,\s=][^,=]*$", max_length=80)]


def _check_patch(text: str) -> str:
    """Return the text if it names a part of the start-up hook, else raise ValueError."""
    parse_parts(text)
    return text


_Patch = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]*(:[A-Za-z0-9_.+-]+)?$", max_length=80),
    AfterValidator(_check_patch),
]
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class OverlayTable(_Table):
    """What one value of an axis lays over the suite."""

    env: dict[_Variable, str] = {}
    """Environment variables."""
    args: list[_Text] = []
    """Arguments after the suite's own: of pytest, of the unittest file, or of the command."""
    patches: list[_Patch] = []
    """Start-up patches by name, as in `sglang-order:ascending`, for every Python process."""

    def build(self) -> Overlay:
        """Return the overlay."""
        return Overlay(self.env, tuple(self.args), tuple(self.patches))


class SuiteTable(OverlayTable):
    """One suite: exactly one of `pytest`, `unittest` and `command`, and how it is run."""

    pytest: _Text | Annotated[list[_Text], Field(min_length=1)] | None = None
    """Paths or node ids that pytest runs."""
    unittest: _Text | None = None
    """A file of unittest test cases, run as `python FILE` would run it."""
    command: _Text | Annotated[list[_Text], Field(min_length=1)] | None = None
    """Any program: a line for the shell, or a list of words."""
    result: Annotated[str, StringConstraints(pattern=r"^(exit-code|tap|junit:.+)$")] = "exit-code"
    """Where a command's result is: `exit-code`, `junit:FILE`, or `tap` on its standard output."""
    python: _Text | None = None
    """The interpreter, a path relative to the configuration (default: the running one)."""
    venv: _Text | None = None
    """A virtual environment whose interpreter it is, instead of `python`."""
    cwd: _Text = "."
    """The folder that an attempt runs in, relative to the configuration."""
    devices: Annotated[int, Field(ge=1, le=64)] = 1
    """Devices that one attempt sees."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds that an attempt may take (default: that of --timeout)."""
    offline: bool = False
    """Keep Hugging Face's libraries from the network: models come from the shared cache alone."""
    setup: list[_Text] = []
    """Shell commands before the suite in each attempt. One that fails fails the attempt."""
    teardown: list[_Text] = []
    """Shell commands after the suite in each attempt, whatever it ended with."""
    collect: list[Annotated[str, StringConstraints(pattern=r"^[^/]")]] = []
    """Patterns of files below `cwd` that are kept with the attempt, for example `logs/*.txt`."""
    axes: dict[_Name, Annotated[dict[_ValueName, OverlayTable], Field(min_length=1)]] = {}
    """Axes: a table per axis, in it a table per value. The first value is the reference."""

    @model_validator(mode="after")
    def _check(self) -> "SuiteTable":
        if sum(one is not None for one in (self.pytest, self.unittest, self.command)) != 1:
            raise ValueError("give exactly one of pytest, unittest and command")
        if self.python and self.venv:
            raise ValueError("give python or venv, not both")
        if self.result != "exit-code" and self.command is None:
            raise ValueError("result is for a command; pytest and unittest report every test")
        if self.command is not None and (self.python or self.venv):
            raise ValueError("a command names its own interpreter: leave python and venv out")
        return self

    def build_setup(self) -> SuiteSetup:
        """Return the suite's set-up."""
        kind, targets = self._choose_kind()
        return SuiteSetup(
            kind=kind,
            targets=targets,
            python=f"{self.venv}/bin/python" if self.venv else self.python,
            cwd=self.cwd,
            devices=self.devices,
            timeout_s=self.timeout,
            set_up=tuple(self.setup),
            tear_down=tuple(self.teardown),
            collect=tuple(self.collect),
            result=self.result,
            base=Overlay(_OFFLINE if self.offline else {}).add(self.build()),
            axes={
                name: {value: table.build() for value, table in values.items()}
                for name, values in self.axes.items()
            },
        )

    def _choose_kind(self) -> tuple[SuiteKind, tuple[str, ...]]:
        if self.unittest is not None:
            return SuiteKind.UNITTEST, (self.unittest,)
        kind = SuiteKind.PYTEST if self.pytest is not None else SuiteKind.COMMAND
        given = self.pytest if self.pytest is not None else self.command
        if isinstance(given, list):
            return kind, tuple(given)
        # Arguments of a cell follow the line's own words, as they would follow a list.
        shell = ("sh", "-c", f'{given} "$@"', "sh")
        return kind, shell if kind is SuiteKind.COMMAND else (given or "",)


class FlakeTable(_Table):
    """A test that is known to fail now and then. It hides no failure."""

    test: _Text
    """The test's id, as reports print it."""
    owner: _Text
    """Who mends it."""
    expires: date
    """The last day on which the entry holds, as 2026-12-31."""
    rate: Annotated[float, Field(gt=0, lt=1)]
    """The failure rate that is tolerated."""

    def build(self) -> KnownFlake:
        """Return the entry."""
        return KnownFlake(self.test, self.owner, self.expires, self.rate)


class Configuration(_Table):
    """`harness.toml`, or `[tool.harness]` in `pyproject.toml`."""

    suites: dict[_Name, SuiteTable] = {}
    """Suites by name; `harness run NAME` measures one."""
    known_flakes: list[FlakeTable] = []
    """Tests that are known to fail now and then, which a rate gate reads."""

"""The formats of output files: their options, and who writes them.

To add one, write a module with a `write` function and add its line to `FORMATS`. The options of
`run`, `report` and `compare` follow from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from harness.report.run_export import RunExport


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of output file. `module` is imported when a file of it is written.

    `is_folder`: several files are written into a folder. `libraries` are what it needs, `extra`
    what installs them if the package alone does not.
    """

    name: str
    help: str
    is_folder: bool = False
    libraries: tuple[str, ...] = ()
    extra: str = ""

    @property
    def option(self) -> str:
        """How the command line calls it."""
        return f"--{self.name}"

    @property
    def metavar(self) -> str:
        """What its option takes."""
        return "DIR" if self.is_folder else "FILE"

    def write(self, export: RunExport, path: Path) -> None:
        """Write the run there. Raise OSError if the system refuses."""
        import_module(f"harness.report.formats.{self.name}_file").write(export, path)


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format("json", "Also write run.json there, for programs."),
        Format("markdown", "Also append the report there as Markdown."),
        Format(
            "html",
            "Also write the report there as one page with pictures.",
            libraries=("jinja2", "plotly"),
        ),
        Format("junit", "Also write every outcome there as JUnit XML, for CI systems."),
        Format("ctrf", "Also write every outcome there as CTRF, a JSON for test reporters."),
        Format("csv", "Also write attempts.csv and outcomes.csv there.", is_folder=True),
        Format(
            "parquet",
            "Also write attempts.parquet and outcomes.parquet there (needs pyarrow).",
            is_folder=True,
            libraries=("pyarrow",),
            extra="parquet",
        ),
    )
}

"""The page of the HTML report: every section's content, and the template that is filled with it."""

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.analysis.report_model import Report
from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus
from harness.report import audit_lines, wording
from harness.report.audit_lines import describe_finding
from harness.report.cell_table import group_by_suite, make_cell_tables, make_earlier_tables
from harness.report.detail_tables import (
    list_unreached,
    list_warmups,
    make_contrast_table,
    make_kind_table,
    make_test_table,
)
from harness.report.formats.text import make_plain, take_first_line
from harness.report.headline import write_headline
from harness.report.html import figures
from harness.report.html.evidence import SHOWN, collect_evidence
from harness.report.html.figures import Figure
from harness.report.html.strip import make_strip
from harness.report.refused_cells import group_refused
from harness.report.run_export import RunExport, get_axes
from harness.report.verdict_lines import select_sentences
from harness.report.views import TableView

#: So many failed attempts are listed with their commands, and so many rows of a table.
_LISTED = 200


def render_page(export: RunExport) -> str:
    """Return the page as HTML."""
    report = export.report
    pictures = draw_figures(export)
    data = {
        "figures": {one.name: {"data": one.data, "layout": one.layout} for one in pictures},
        "strip": make_strip(export.attempts),
    }
    script, plotly = read_asset("page.js"), read_plotly()
    return (
        _open_environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            refused=group_refused(report.refused),
            run=report.run,
            headline=Markup(write_headline(report)),  # neutral text with character references
            sentences=select_sentences(report),
            figures={one.name: one for one in pictures},
            data=escape_json(data),
            tables=make_tables(report),
            earlier=make_earlier_tables(report),
            evidence=collect_evidence(report, export.attempts),
            signatures_left=max(len(report.signatures) - SHOWN, 0),
            failed=list_failed(export),
            failed_left=max(_count_failed(export) - _LISTED, 0),
            facts=list_facts(export),
            notes=list_notes(report),
            audit=[
                *(describe_finding(one) for one in report.audit),
                *([line] for line in audit_lines.list_advice(report)),
            ],
            audit_title=audit_lines.TITLE,
            warmups=list_warmups(report),
            warmup_title=wording.WARMUP_TITLE,
            command=export.command,
            style=Markup(read_asset("page.css")),
            script=Markup(script),
            plotly=Markup(plotly),
            script_hashes=" ".join(f"'sha256-{hash_script(text)}'" for text in (plotly, script)),
            listed=_LISTED,
        )
    )


def draw_figures(export: RunExport) -> list[Figure]:
    """Return the pictures that this run has data for."""
    cells = export.report.cells
    attempts = [row for row in export.attempts if any(row.part == cell.part for cell in cells)]
    drawn = (
        figures.draw_rates(export.report),
        figures.draw_kinds(cells),
        figures.draw_capture_memory(cells),
        figures.draw_durations(cells, attempts),
        figures.draw_history(export.history),
    )
    return [one for one in drawn if one]


def make_tables(report: Report) -> dict[str, list[TableView]]:
    """Return the tables of each section; those without a row are left out."""
    suites = group_by_suite(report.cells)
    tables = {
        "cells": make_cell_tables(report),
        "contrasts": [make_contrast_table(report.contrasts)],
        "kinds": [make_kind_table(cells) for cells in suites],
        "tests": [make_test_table(cells) for cells in suites],
    }
    return {name: [view for view in views if view.rows] for name, views in tables.items()}


def list_failed(export: RunExport) -> list[dict[str, str]]:
    """Return the first attempts that failed or were lost, with the command that repeats each."""
    found = []
    for row in export.attempts:
        if row.status is not AttemptStatus.PASSED:
            found.append(
                {
                    "id": row.id,
                    "cell": f"{row.suite} · {get_axes(row).label}",
                    "device": "+".join(row.devices),
                    "status": _describe_ending(row),
                    "seed": str(row.seed),
                    "message": take_first_line(row.message or ""),
                    "command": f"harness rerun {row.id}",
                }
            )
        if len(found) == _LISTED:
            break
    return found


def _describe_ending(row: AttemptRow) -> str:
    return row.kind or "failed" if row.status is AttemptStatus.FAILED else row.status.value


def _count_failed(export: RunExport) -> int:
    return sum(row.status is not AttemptStatus.PASSED for row in export.attempts)


#: What a reader knows as something else than its key in the fingerprint.
_FACTS = {
    "ci": "CI job",
    "cpu": "CPU",
    "dirty": "hash of uncommitted changes",
    "driver": "NVIDIA driver",
    "signatures": "version of signatures",
    "tracked_changes": "hash of changes to tracked files",
}


def list_facts(export: RunExport) -> dict[str, str]:
    """Return the environment, plan and seed as lines of name and value."""
    run = export.report.run
    facts: dict[str, Any] = {
        "run": run.id,
        "status": run.status.value,
        "seed": f"{run.seed}{' (fixed for every attempt)' if run.fixed_seed else ''}",
        "attempts planned per cell": run.repeats,
        "until decided": "yes" if run.until_decided else "no",
        "rates to tell apart": " and ".join(f"{rate:g}" for rate in run.expected_rates),
        "device": run.device,
        "graphs": run.graphs or wording.NO_GRAPHS,
        "commit": run.sha or ("revisions, see below" if run.revisions else "not known"),
        "in CI": "yes" if run.in_ci else "no",
    }
    for revision in run.revisions:
        facts[f"revision {revision.rev}"] = f"{revision.named}, commit {revision.sha}"
    for name, value in run.fingerprint.items():
        if name != "sha" and value is not None:
            facts.setdefault(_FACTS.get(name, name), _format_fact(value))
    return {name: make_plain(str(value), 4000) for name, value in facts.items()}


def _format_fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return "; ".join(map(_format_fact, value))
    return "-" if value is None else str(value)


def list_notes(report: Report) -> list[str]:
    """Return each note once, and which tests were not reached."""
    notes = [note for cell in report.cells for note in cell.notes]
    unreached = [text for cells in group_by_suite(report.cells) for text in list_unreached(cells)]
    return list(dict.fromkeys([*unreached, *notes]))[:_LISTED]


def escape_json(data: Any) -> Markup:
    """Return JSON that ends no script element, whatever its texts are."""
    text = json.dumps(data, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def hash_script(text: str) -> str:
    """Return a script's hash as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def read_asset(name: str) -> str:
    """Return a file of this package."""
    return resources.files("harness.report.html").joinpath(name).read_text("utf-8")


@cache
def read_plotly() -> str:
    """Return Plotly's JavaScript, which the plotly package carries."""
    path = resources.files("plotly").joinpath("package_data/plotly.min.js")
    return path.read_text("utf-8")


@cache
def _open_environment() -> Environment:
    """Return the templates; every text that is no Markup is made plain, then escaped."""
    return Environment(
        loader=PackageLoader("harness.report.html", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: Any) -> Any:
    return make_plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value

"""A run in a pull request's comment: made from `run.json` alone, and hostile in every text."""

import copy
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.analysis.run_counts import RunCounts, count_run
from harness.core.records import TestCount
from harness.report.markdown import Command, write_markdown
from harness.report.run_json import read_run_json
from harness.report.run_schema import find_problems
from tests.report.runs import ASCENDING, DESCENDING, SHA, make_counts, report_counts, write_object

COMMENT = 65_536
RENDERER = MarkdownIt("js-default", {"html": True}).enable("table")
HOSTILE = (
    "|</td></details><!-- @everyone #1 https://e.example `x` [a](b) \x1b[31m\n# passed\n::error::"
)


def document(counts: RunCounts) -> Any:
    return write_object(report_counts(counts))


def markdown(run: Any, limit: int, command: Command | None = None) -> str:
    """Render as the bot does: from a run.json that was checked and read back."""
    return write_markdown(read_run_json(run), limit, command)


FAILED = document(make_counts({ASCENDING: 2, DESCENDING: 10}))


def first_line(summary: RunCounts) -> str:
    return markdown(document(summary), COMMENT).partition("\n")[0].removeprefix("### ")


def test_the_outcome_is_said_first_and_a_clean_run_says_what_it_leaves_open() -> None:
    assert first_line(make_counts({ASCENDING: 2, DESCENDING: 10})) == (
        "Failed: 12 of 100 attempts failed"
    )
    assert first_line(make_counts({}, 3)) == (
        "No failure in 6 attempts; a cell's interval still reaches 71 %"
    )
    assert first_line(make_counts({}, 3, fixed_seed=True)) == (
        "No failure in 6 attempts of one seed, which are one observation"
    )
    assert first_line(make_counts({ASCENDING: 1}, 120, gate=0.05)) == (
        "Gate holds (every cell fails less often than 5.0 %): 1 of 240 attempts failed"
    )
    assert first_line(make_counts({}, 20, gate=0.05)) == "Undecided: 0 of 40 attempts failed"
    assert first_line(make_counts({}, 5, infra={ASCENDING: 5})).startswith("Cannot say: ")
    assert first_line(make_counts({ASCENDING: 1, DESCENDING: 1}, 1, kind="no-tests")) == (
        "No test was collected"
    )
    cut = make_counts({DESCENDING: 9}, 20, run_status="interrupted", missing=4)
    assert first_line(cut) == "Interrupted: 8 of 36 attempts failed"


def test_counts_intervals_commit_and_comparison_are_there() -> None:
    text = markdown(FAILED, COMMENT).replace("\u00a0", " ")
    assert "| descending | 10/50 | 20 % [10 %, 34 %] | wrong-output 10 |" in text
    assert f"commit <code>{SHA}</code>" in text
    assert (
        "| descending against ascending | 10/50 against 2/50 | +16 points [3, 29] | 0.021 |" in text
    )
    assert "12 × wrong-output in run: <code>sig wrong-output</code>" in text
    assert not set("✓✔✅🟢") & set(text)


def test_graphs_of_a_cpu_are_never_called_cuda_graphs() -> None:
    run = copy.deepcopy(FAILED)
    for graphs in ("recorded", "cuda"):
        run["run"]["graphs"] = graphs
        assert "cpu, recorded graphs (no CUDA graphs)" in markdown(run, COMMENT)
    run["run"].update(device="cuda", graphs="cuda")
    assert "cuda, CUDA graphs" in markdown(run, COMMENT)


def test_what_would_decide_is_said_with_the_command_for_it() -> None:
    run = document(make_counts({ASCENDING: 1}, 4))
    assert "a new run with 33 attempts per cell" in markdown(run, COMMENT)
    text = markdown(run, COMMENT, lambda n: f"/rerun-test a.py --repeats {n}\n``` @x")
    assert "```text\n/rerun-test a.py --repeats 33 @x\n```" in text
    assert "a new run with" not in markdown(FAILED, COMMENT, str)


def test_an_order_that_was_not_asked_for_is_marked() -> None:
    run = copy.deepcopy(FAILED)
    run["cells"][0]["capture"]["observed"] = "descending"
    assert "**descending, asked: ascending**" in markdown(run, COMMENT)


def test_orders_that_all_were_as_asked_take_no_column() -> None:
    text = markdown(FAILED, COMMENT)
    assert "capture order as asked" in text
    assert "order seen" not in text
    run = copy.deepcopy(FAILED)
    for cell in run["cells"]:
        cell["capture"]["observed"] = "none"
    assert "order" not in markdown(run, COMMENT).partition("| cell |")[2]
    assert "as asked" not in markdown(run, COMMENT)


def test_both_revisions_are_named_with_their_commits() -> None:
    run = copy.deepcopy(FAILED)
    run["run"]["sha"] = None
    run["run"]["revisions"] = [
        {"rev": sha[:8], "named": named, "sha": sha, "python": "", "folder": "", "notes": [note]}
        for named, sha, note in (("main", "a" * 40, "no note"), ("fix", "b" * 40, "C++ differs"))
    ]
    text = markdown(run, COMMENT)
    assert f"base main = <code>{'a' * 40}</code>, head fix = <code>{'b' * 40}</code>" in text
    assert "bbbbbbbb: C++ differs" in text


def test_infrastructure_refusals_and_unreached_tests_are_shown() -> None:
    clean = make_counts({ASCENDING: 10}, infra={DESCENDING: 2})
    counts = [TestCount("s.py", ASCENDING.key, "s.py::t", outcome, None, 0, n)
              for outcome, n in (("failed", 2), ("passed", 40), ("precluded", 8))]  # fmt: skip
    run = document(count_run(clean.run, clean.attempts, counts))
    run["refused"] = [{"suite": "s.py", "axes": {"backend": b}, "reason": "no CUDA"} for b in "ab"]
    text = markdown(run, COMMENT)
    assert "- 2 × <code>m</code>" in text
    assert "- <code>s.py</code>: no CUDA (2 × a, b)" in text
    assert "<code>t</code> | ascending | 2/42 |" in text


def test_competing_kinds_have_rates_of_their_own() -> None:
    clean = make_counts({ASCENDING: 10})
    rows = [replace(row, kind="hang") if row.status == "failed" and row.position % 4 == 0 else row
            for row in clean.attempts]  # fmt: skip
    made = markdown(document(count_run(clean.run, rows, [])), COMMENT)
    text = made.replace("\u00a0", " ")
    assert re.search(r"\| hang \| ascending \| \d/50 \| [\d.]+ % \[", text)


#: What the schema allows a few words for, so that nothing hostile gets there.
FIXED = ("schema", "status", "device", "finding", "outcome", "state", "sha")


def hostile_everywhere(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v if k in FIXED else hostile_everywhere(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile_everywhere(inner) for inner in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_no_text_of_a_run_is_obeyed() -> None:
    clean = make_counts({ASCENDING: 10}, infra={DESCENDING: 2})
    counts = [TestCount("s.py", ASCENDING.key, "s.py::t", "failed", "k", 0, 2)]
    run = hostile_everywhere(document(count_run(clean.run, clean.attempts, counts)))
    run["refused"] = [{"suite": HOSTILE, "axes": {HOSTILE: HOSTILE}, "reason": HOSTILE}]
    run["cells"][0]["kinds"] = {HOSTILE: 3, "hang": 7}
    run["cells"][0]["axes"] = {HOSTILE: HOSTILE, "order": "x"}
    run["attribution"] = None
    assert find_problems(run) == []
    rendered = RENDERER.render(markdown(run, COMMENT))
    assert set(re.findall(r"<(/?\w+)", rendered)) <= {
        slash + name
        for slash in ("", "/")
        for name in ("h3", "p", "ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td",
                     "details", "summary", "strong", "em")
    }  # fmt: skip
    assert rendered.count("<h3>") == 1
    assert rendered.count("<details>") == rendered.count("</details>")
    assert "<!--" not in rendered
    assert not re.search(r"@\w|#\d|://|\x1b", html.unescape(rendered))


def test_what_does_not_fit_is_left_out_from_the_end_and_counted() -> None:
    run = many_cells(400)
    text = markdown(run, COMMENT)
    assert len(text.encode()) <= COMMENT
    assert "more comparisons not shown here; run.json has them all" in text
    assert "without a failure: 399</summary>" in text
    short = markdown(run, 4000)
    left = re.search(r"\*(\d+) more cells not shown here", short)
    assert left
    assert int(left[1]) + len(re.findall(r"(?m)^\| cell \d+ \|", short)) == 400
    assert short.startswith(text[:200])
    assert "| cell 399 |" in short, "the cell that fails most stays"
    assert "Left out for length" in markdown(run, 2000)


def test_undecided_comparisons_share_a_sentence_that_names_the_clearest() -> None:
    run = document(make_counts({ASCENDING: 1}, 4))
    (one,) = run["contrasts"]
    axes = ["tp"] * 4 + ["rev"]
    run["contrasts"] = [
        {**one, "axis": axis, "p": 0.5 + i / 10, "sentence": f"sentence {i}"}
        for i, axis in enumerate(axes)
    ]
    run["verdict"]["sentences"] = [f"sentence {i}" for i in range(5)]
    text = markdown(run, COMMENT)
    assert not [i for i in range(5) if f"- sentence {i}\n" in text], "one sentence for all"
    (line,) = [line for line in text.splitlines() if line.startswith("- undecided: ")]
    assert line.startswith("- undecided: 5 of 5 planned comparisons: rev descending against")
    assert line.count("0/4 against 1/4") == 3
    assert "2 more; a new run with 33 attempts per cell would decide" in line


def many_cells(number: int) -> Any:
    run = copy.deepcopy(FAILED)
    cell, contrast = run["cells"][0], run["contrasts"][0]
    run["cells"] = [
        {**cell, "name": str(i), "axes": {"cell": i}, "failed": 0, "passed": 50, "rate": 0,
         "interval": {**cell["interval"], "low": 0}, "kinds": {}, "kind_intervals": {}}
        for i in range(number - 1)
    ]  # fmt: skip
    run["cells"].append({**cell, "name": "last", "axes": {"cell": number - 1}})
    run["contrasts"] = [{**contrast, "axis": "cell", "value": i} for i in range(number)]
    assert find_problems(run) == []
    return run


@pytest.mark.parametrize("limit", [0, 1, 30, 100, 500, 1000])
def test_the_outcome_stays_whatever_the_limit(limit: int) -> None:
    text = markdown(FAILED, limit)
    assert len(text.encode()) <= limit
    assert text.startswith("### Failed: 12 of 100 attempts failed"[:limit])


RUNS = [
    FAILED,
    document(make_counts({}, 5, infra={ASCENDING: 5})),
    document(make_counts({DESCENDING: 9}, 20, run_status="interrupted", missing=4)),
    document(make_counts({ASCENDING: 4}, fixed_seed=True)),
]
VALUES = st.one_of(
    st.none(), st.integers(0, 3), st.floats(0, 1), st.text(max_size=30), st.just([]), st.just({})
)


@given(st.sampled_from(RUNS), st.data(), st.integers(0, 3000))
def test_any_valid_run_is_rendered_within_its_limit(
    run: Any, data: st.DataObject, limit: int
) -> None:
    run = copy.deepcopy(run)
    for _ in range(3):
        place = data.draw(st.sampled_from([run, run["run"], *run["cells"], *run["contrasts"]]))
        place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
        if find_problems(run):
            return
    assert len(markdown(run, limit).encode()) <= limit


def test_it_loads_no_library_that_the_bot_does_not_have() -> None:
    code = (
        "import sys, json, harness.report.markdown as m, harness.report.run_schema as s, "
        "harness.report.run_json as j\n"
        "run = json.load(sys.stdin)\n"
        "assert s.find_problems(run) == [] and m.write_markdown(j.read_run_json(run), 65536)\n"
        "heavy = {n for n in sys.modules if n.split('.')[0] in"
        " ('torch', 'ray', 'scipy', 'sqlalchemy', 'numpy')}\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(FAILED), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

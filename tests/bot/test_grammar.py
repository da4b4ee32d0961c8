"""The grammar of `/rerun-test`: what it reads, what it refuses, and that nothing gets past it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.bot.command.grammar import parse_command
from harness.bot.command.requests import (
    COMMAND,
    Cancel,
    Help,
    Malformed,
    Measure,
    Status,
    Target,
    format_command,
)
from harness.bot.jobs.arguments import build_arguments
from harness.bot.policy.access import Terms

SHA = "0123456789abcdef0123456789abcdef01234567"


def reason(body: str) -> str:
    command = parse_command(body)
    assert isinstance(command, Malformed), command
    return command.reason


def test_a_bare_file_name_is_a_whole_command() -> None:
    assert parse_command("/rerun-test test_a.py") == Measure((Target("test_a.py"),))


def test_every_flag_is_read_into_its_field() -> None:
    body = (
        f"/rerun-test suites/test_a.py::Case::test_b c.py::test_d --sha {SHA} --repeats 50 "
        "--order ascending,descending --backend fa3 --tp 2 --gpus 2 --until decided --against base"
    )
    assert parse_command(body) == Measure(
        targets=(Target("suites/test_a.py", "::Case::test_b"), Target("c.py", "::test_d")),
        sha=SHA,
        repeats=50,
        orders=("ascending", "descending"),
        backends=("fa3",),
        tp=2,
        gpus=2,
        until_decided=True,
        against_base=True,
    )


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("help", Help()),
        ("cancel", Cancel()),
        ("status", Status()),
        ("--help", Help()),
        ("Help", Help()),
    ],
)
def test_plain_commands_are_read(word: str, command: object) -> None:
    assert parse_command(f"/rerun-test {word}") == command


def test_a_flag_and_its_value_may_be_joined() -> None:
    joined = parse_command("/rerun-test a.py --repeats=5 --gpus=0 --order=ascending")
    assert joined == parse_command("/rerun-test a.py --repeats 5 --gpus 0 --order ascending")
    assert isinstance(joined, Measure)
    assert (joined.repeats, joined.gpus) == (5, 0)


def test_text_below_the_first_line_is_not_read() -> None:
    assert parse_command("/rerun-test help\r\nplease, `--repeats 9`\n> /rerun-test x.py") == Help()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "please /rerun-test a.py",
        " /rerun-test a.py",
        "> /rerun-test a.py",
        "`/rerun-test a.py`",
        "```\n/rerun-test a.py\n```",
        "\n/rerun-test a.py",
        "/rerun-tests a.py",
        "/rerun-test\u00a0a.py",
        "/RERUN-TEST a.py",
        "\uff0frerun-test a.py",
        "/rerun\u2010test a.py",
    ],
)
def test_what_does_not_begin_with_the_command_is_not_for_the_bot(body: str) -> None:
    assert parse_command(body) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "name a suite"),
        ("--repeats 5", "at least one suite"),
        ("a.py b.py a.py", "named twice"),
        ("a.py --repeats", "--repeats takes a number"),
        ("a.py --repeats 0", "--repeats takes a number"),
        ("a.py --repeats -1", "--repeats takes a number"),
        ("a.py --repeats 1e3", "--repeats takes a number"),
        ("a.py --repeats 100000", "--repeats takes a number"),
        ("a.py --repeats 5 --repeats 6", "--repeats is given twice"),
        ("a.py --repeats=", "--repeats takes a number"),
        ("a.py --repeats=5 --repeats 5", "--repeats is given twice"),
        ("a.py --rev=main", "unknown flag '--rev=main'"),
        ("a.py --gpus 65", "--gpus takes a number from 0 to 64"),
        ("a.py --tp 0", "--tp takes a number from 1 to 64"),
        ("a.py --tp 99999", "--tp takes a number from 1 to 64"),
        ("a.py\n--repeats 5", "goes on in another line"),
        ("a.py\n\n--repeats=5", "goes on in another line"),
        ("a.py\nb.py::Case", "goes on in another line"),
        ("a.py --rev main", "unknown flag '--rev'"),
        ("a.py -k x", "unknown flag '-k'"),
        ("a.py --repeat 5", "'--repeat' (did you mean --repeats?)"),
        ("cancle", "(did you mean cancel?)"),
        ("a.py --sha abcdef", "--sha takes a commit"),
        (f"a.py --sha {SHA.upper()}", "--sha takes a commit"),
        (f"a.py --sha {SHA}0", "--sha takes a commit"),
        ("a.py --order sideways", "--order takes a list of ascending"),
        ("a.py --order ascending,ascending", "each once"),
        ("a.py --backend fa9", "--backend takes a list of torch_native"),
        ("a.py --until tomorrow", "--until takes 'decided'"),
        ("a.py --against HEAD~1", "--against takes 'base'"),
        ("help me", "help takes nothing"),
        ("../a.py", "path inside the repository"),
        ("suites/../a.py", "path inside the repository"),
        ("/etc/a.py", "path inside the repository"),
        ("suites//a.py", "path inside the repository"),
        (".hidden/a.py", "path inside the repository"),
        ("suites", "is not FILE.py"),
        ("a.py::A::b::c", "is not FILE.py"),
        ("a.py::test[x]", "without its parameters"),
        ("a.py;id", "a word of the command"),
        ("$(id).py", "a word of the command"),
        ("`id`.py", "a word of the command"),
        (" ".join(f"t{n}.py" for n in range(9)), "at most 8"),
        ("x" * 2000, "longer than 1000"),
        ("a.py\x00", "not printable ASCII"),
        ("a.py\t--tp 2", "not printable ASCII"),
        ("a\u0435.py", "not printable ASCII"),
        ("a.py \u2013\u2013tp 2", "not printable ASCII"),
        ("a.py\u2028--tp 2", "not printable ASCII"),
        ("a.py\n/rerun-test b.py", "several commands"),
        ("a.py\n  /rerun-test cancel", "several commands"),
    ],
)
def test_what_the_grammar_lacks_is_refused_with_its_reason(line: str, says: str) -> None:
    assert says in reason(f"/rerun-test {line}")


PIECES = (
    "--sha --repeats --order --tp --gpus --until decided --against base 2 ascending fa3 a.py "
    "suites/a.py::A help -- -rf .. $(id) `id` ; | && >x \\ ' \" * ~ --rev=x"
)
WORDS = st.one_of(st.sampled_from([SHA, *PIECES.split()]), st.text(max_size=12))
ALLOWED = re.compile(r"[A-Za-z0-9_./:,-]+")


@given(st.one_of(st.text(), st.lists(WORDS, max_size=12).map(lambda w: " ".join([COMMAND, *w]))))
@example("/rerun-test a.py --tp \u0661")
def test_any_text_is_read_without_an_exception_and_yields_only_allowed_arguments(body: str) -> None:
    command = parse_command(body)
    if isinstance(command, Malformed):
        assert all(" " <= character <= "~" for character in command.reason)
    if isinstance(command, Measure):
        terms = Terms(command.repeats or 1, 1, 1, ("x",))
        words = build_arguments(command, command.targets, terms, [command.sha or SHA], 7)
        flags, _, suites = "\n".join(words).partition("\n--\n")
        assert all(ALLOWED.fullmatch(word) for word in words)
        assert {w for w in flags.split("\n") if w.startswith("-")} <= {
            *("--repeats", "--rev", "--seed", "--device", "--order", "--backend", "--tp", "--until")
        }
        assert not any(
            part in ("", "..") or part[0] in "-."
            for suite in suites.split("\n")
            for part in suite.partition("::")[0].split("/")
        )
        assert parse_command(format_command(command)) == command

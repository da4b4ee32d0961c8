"""Comments that are well-formed, in circumstances that forbid or change what comes of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.bot.attacks import GOOD, SILENT, Attack
from tests.bot.github_samples import pull, push, stamp, workflow_run
from tests.bot.workplace import BASE, FORK, FORK_HEAD, HEAD, PULL, RUN, Workplace, suites


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
    place.github.activities["topic"] = [push(HEAD, place.now + timedelta(seconds=1))]


def head_that_left_and_came_back(place: Workplace) -> None:
    """X, Y, X: the commenter saw Y, and the branch is at X again when the bot looks."""
    moves = [(HEAD, 2), ("4" * 40, -60), (HEAD, -3600)]
    place.github.activities["topic"] = [
        push(sha, place.now + timedelta(seconds=after)) for sha, after in moves
    ]


def head_that_the_pushes_do_not_know(place: Workplace) -> None:
    place.github.activities["topic"] = [push("4" * 40, place.now - timedelta(hours=1))]


def head_seen_on_another_branch_alone(place: Workplace) -> None:
    place.github.activities["decoy"] = place.github.activities.pop("topic")


def head_that_cannot_be_dated(place: Workplace) -> None:
    place.github.fail("GET", r"/activity$", 404)


def two_commits_alike(place: Workplace) -> None:
    place.github.pull_commits[PULL].append("1" * 39 + "2")


def state_folder_tracked(place: Workplace) -> None:
    place.github.trees[HEAD] = suites("suites/test_a.py", ".harness/store.sqlite")


def state_folder_is_a_link(place: Workplace) -> None:
    tree = suites("suites/test_a.py")
    tree["tree"].append({"path": ".harness", "mode": "120000"})
    place.github.trees[HEAD] = tree


def state_folder_tracked_in_the_base(place: Workplace) -> None:
    place.github.trees["5" * 40] = suites(".harness/worktrees/conftest.py")


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


def told_before(place: Workplace) -> None:
    earlier(place, "success", on=99, login="stranger")


def no_list(place: Workplace) -> None:
    place.github.fail("GET", r"/runs$", 500)


def unknown_role(place: Workplace) -> None:
    place.github.permissions["maintainer"] = {"permission": "owner", "role_name": "god"}


FORKED = {"on": FORK}
AROUND = [
    Attack("stranger", GOOD, "access", {"login": "stranger"}),
    Attack("stranger's nonsense", "/rerun-test $(id)", "access", {"login": "stranger"}),
    Attack("stranger asks for help", "/rerun-test help", "access", {"login": "stranger"}),
    Attack("stranger cancels", "/rerun-test cancel", "access", {"login": "stranger"}),
    Attack("role unheard of", GOOD, "access", {}, unknown_role),
    Attack("edited since", GOOD, SILENT, {}, edited),
    Attack("deleted since", GOOD, SILENT, {}, deleted),
    Attack("deleted meanwhile", GOOD, SILENT, {}, deleted_after_the_reaction),
    Attack("run again by the button", GOOD, SILENT, {}, second_attempt),
    Attack("delivered twice", GOOD, SILENT, {}, delivered_twice),
    Attack("fork without a commit", GOOD, "fork", FORKED),
    Attack("stranger who was told", GOOD, SILENT, {"login": "stranger"}, told_before),
    Attack("stranger and no policy", GOOD, SILENT, {"login": "stranger"}, no_policy),
    Attack("stranger and a list that fails", GOOD, SILENT, {"login": "stranger"}, no_list),
    Attack("fork's author", f"{GOOD} --sha {FORK_HEAD}", "access", {**FORKED, "login": "author"}),
    Attack("fork with its commit", f"{GOOD} --sha {FORK_HEAD}", "measure", FORKED),
    Attack("fork with another's commit", f"{GOOD} --sha {HEAD}", "sha", FORKED),
    Attack("fork that vanished", GOOD, "fork", {}, vanished_fork),
    Attack("commit of elsewhere", f"{GOOD} --sha {FORK_HEAD}", "sha"),
    Attack("older commit of the pull request", f"{GOOD} --sha {'4' * 40}", "measure"),
    Attack("head pushed after the comment", GOOD, "head", {}, head_pushed_late),
    Attack("head that stood elsewhere", GOOD, "head", {}, head_seen_on_another_branch_alone),
    Attack("head without a date", GOOD, "head", {}, head_that_cannot_be_dated),
    Attack("head that left and came back", GOOD, "head", {}, head_that_left_and_came_back),
    Attack("head that no push made", GOOD, "head", {}, head_that_the_pushes_do_not_know),
    Attack("short sha of two", f"{GOOD} --sha {'1' * 39}", "ambiguous", {}, two_commits_alike),
    Attack("fork with a short sha", f"{GOOD} --sha {FORK_HEAD[:12]}", "fork", FORKED),
    Attack("store in the commit", GOOD, "harness-folder", {}, state_folder_tracked),
    Attack("link for a store", GOOD, "harness-folder", {}, state_folder_is_a_link),
    Attack(
        "worktrees in the base",
        f"{GOOD} --against base",
        "harness-folder",
        {},
        state_folder_tracked_in_the_base,
    ),
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

"""The parsing job: what it grants, announces, cancels and tells, against the API."""

import json
from datetime import timedelta

import pytest

from harness.bot.wording import replies
from tests.bot.github_samples import BOT, stamp, workflow_run
from tests.bot.workplace import BASE, HEAD, PULL, RUN, Workplace

CPU_JOB = "measure (0 GPUs, at most 60 min)"


def active(place: Workplace, number: int, login: str, *, started: bool = True) -> int:
    """A measurement that waits or runs on the pull request. Answers its comment's id."""
    command = place.github.new_id()
    title = f"rerun-test #{PULL} by {login} (comment {command})"
    ago = timedelta(minutes=30)
    place.github.runs.append(workflow_run(number, title, "in_progress", ago=ago))
    place.github.jobs[number] = [
        {
            "name": CPU_JOB,
            "status": "in_progress" if started else "queued",
            "conclusion": None,
            "started_at": stamp(place.now - timedelta(minutes=20)) if started else None,
            "completed_at": None,
            "html_url": f"https://github.example/job/{number}",
        }
    ]
    body = f"{replies.format_marker(command)}-->\n### /rerun-test: queued\n\nrest"
    place.github.add_comment(PULL, body, BOT, place.now - ago)
    return command


def newest(place: Workplace) -> str:
    return place.github.by_bot(PULL)[-1]


def test_a_granted_command_is_acknowledged_announced_and_handed_over(place: Workplace) -> None:
    place.says("/rerun-test test_a.py::A --repeats 50 --order ascending --until decided --tp 2")
    assert place.parse() == {
        "action": "measure",
        "sha": HEAD,
        "base": "",
        "arguments": "\n".join(
            f"--repeats 50 --rev {HEAD} --seed 7 --device cpu --order ascending --tp 2 "
            "--until decided -- suites/test_a.py::A".split()
        ),
        "gpus": "0",
        "minutes": "60",
        "deadline": "80",
        "runner": '["ubuntu-24.04"]',
        "comment": str(max(place.github.comments)),
    }
    assert place.github.writes()[0].path.endswith("/reactions")
    answer = place.answer()
    assert answer.startswith(replies.format_marker(place.comment))
    assert f"`/rerun-test test_a.py::A --sha {HEAD} --repeats 50" in answer
    assert f"https://github.example/acme/engine/actions/runs/{RUN}" in answer
    assert answer in place.summary()


def test_against_base_measures_the_merge_base_first(place: Workplace) -> None:
    place.says("/rerun-test test_a.py --against base --gpus 2")
    outputs = place.parse()
    assert outputs["base"] == "5" * 40
    assert f"--rev\n{'5' * 40},{HEAD}\n--seed\n7\n--device\ncuda" in outputs["arguments"]
    assert json.loads(outputs["runner"]) == ["self-hosted", "gpu-2"]
    assert f"base {'5' * 40}" in place.answer()


def test_help_shows_the_command_and_what_the_asker_may_have(place: Workplace) -> None:
    place.says("/rerun-test help", "author")
    assert place.parse() == {"action": "none"}
    assert "--until decided" in place.answer()
    assert "you may measure `suites/test_a.py`: up to 10 repeats, 0 GPUs" in place.answer()
    assert "200 repeats" not in place.answer()


def test_status_tells_what_runs_and_leaves_every_comment_alone(place: Workplace) -> None:
    active(place, 800, "maintainer")
    active(place, 801, "author", started=False)
    before = place.github.by_bot(PULL)
    place.says("/rerun-test status")
    assert place.parse() == {"action": "none"}
    assert "- maintainer: running, [its log](https://github.example/job/800)" in newest(place)
    assert "- author: waits for a runner" in newest(place)
    assert place.github.by_bot(PULL)[:-1] == before


def test_status_of_nothing_says_so(place: Workplace) -> None:
    place.says("/rerun-test status")
    place.parse()
    assert "Nothing waits or runs for this pull request." in place.answer()


def test_cancel_ends_what_runs_here_and_nothing_elsewhere(place: Workplace) -> None:
    active(place, 800, "maintainer")
    active(place, 801, "author")
    elsewhere = workflow_run(
        802, "rerun-test #99 by maintainer (comment 1)", "in_progress", ago=timedelta(minutes=1)
    )
    place.github.runs.append(elsewhere)
    place.says("/rerun-test cancel")
    assert place.parse() == {"action": "none"}
    assert place.github.cancelled == [800, 801]
    assert "- author: being cancelled" in newest(place)


def test_an_author_cancels_only_what_is_the_authors(place: Workplace) -> None:
    active(place, 800, "author")
    active(place, 801, "maintainer")
    place.says("/rerun-test cancel", "author")
    place.parse()
    assert place.github.cancelled == [800]
    assert "- maintainer: left alone" in newest(place)


def test_a_run_that_ends_while_it_is_cancelled_is_no_error(place: Workplace) -> None:
    active(place, 800, "maintainer")
    place.github.fail("POST", r"/runs/800/cancel", 409)
    place.says("/rerun-test cancel")
    assert place.parse() == {"action": "none"}


def test_a_newer_command_replaces_ones_own_older_one(place: Workplace) -> None:
    active(place, 800, "maintainer")
    place.github.jobs[800][0]["started_at"] = stamp(place.now - timedelta(hours=1))
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"
    assert place.github.cancelled == [800]


def test_a_command_that_is_refused_replaces_nothing(place: Workplace) -> None:
    active(place, 800, "maintainer")
    place.says("/rerun-test test_a.py --repeats 201")
    assert place.parse() == {"action": "none"}
    assert place.github.cancelled == []


def test_another_persons_measurement_is_waited_for(place: Workplace) -> None:
    active(place, 800, "other")
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"
    assert place.github.cancelled == []


def test_the_head_is_resolved_once(place: Workplace) -> None:
    place.says(f"/rerun-test test_a.py --against base --sha {HEAD}")
    place.parse()
    assert sum(call.path.endswith(f"/pulls/{PULL}") for call in place.github.calls) == 1
    trees = [call.path for call in place.github.calls if "/git/trees/" in call.path]
    assert [path.rpartition("/")[2] for path in trees] == [HEAD, "5" * 40]
    assert any(f"/compare/{BASE}...{HEAD}" in call.path for call in place.github.calls)


def test_long_lists_are_read_to_their_end(place: Workplace) -> None:
    for number in range(250):
        title = f"rerun-test #99 by other (comment {number + 1})"
        run = workflow_run(number + 1, title, "success", ago=timedelta(hours=1))
        place.github.runs.append(run)
    active(place, 800, "maintainer")
    place.says("/rerun-test status")
    place.parse()
    assert "- maintainer: running" in newest(place)


def flood(place: Workplace, count: int, every: timedelta) -> None:
    """So many commands of a stranger without a grant, evenly spaced."""
    for number in range(count):
        title = f"rerun-test #9 by stranger (comment {number})"
        run = workflow_run(number + 1, title, "success", ago=every * (number + 1))
        place.github.runs.append(run)


def test_a_flood_of_strangers_commands_keeps_nobody_out(place: Workplace) -> None:
    flood(place, 1400, timedelta(seconds=60))
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"
    asked = [call for call in place.github.calls if call.path.endswith("/runs")]
    assert len(asked) < 30


def test_more_runs_in_a_minute_than_github_lists_are_a_refusal_to_go_on(place: Workplace) -> None:
    flood(place, 1001, timedelta(0))
    place.says("/rerun-test test_a.py")
    outputs = place.parse()
    assert "counts 1001 entries" in outputs["error"]
    assert "action" not in outputs
    assert "Nothing was run." in place.answer()


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_RUN_ID", "GITHUB_EVENT_PATH"])
def test_a_job_that_is_not_set_up_says_what_is_missing(place: Workplace, name: str) -> None:
    done = place.process("parse", **{name: ""})
    assert done.returncode == 2
    assert done.stderr == (
        f"harness: {name} is not set: this command runs in a GitHub workflow's job\n"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": "created"}', "null", "x" * 2_000_001])
def test_an_event_of_another_shape_is_an_error(place: Workplace, text: str) -> None:
    (place.folder / "event.json").write_text(text)
    outputs = place.parse()
    assert "GITHUB_EVENT_PATH" in outputs["error"]
    assert place.github.calls == []


@pytest.mark.parametrize("status", ["success", "in_progress"])
def test_what_strangers_write_locks_nobody_out(place: Workplace, status: str) -> None:
    for number in range(1, 301):
        title = f"rerun-test #{PULL} by stranger (comment {number})"
        run = workflow_run(number, title, status, ago=timedelta(minutes=5))
        place.github.runs.append(run)
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"
    assert len(place.github.calls) < 40
    assert not any(call.path.endswith("/jobs") for call in place.github.calls)


def refused(place: Workplace, number: int, login: str, on: int = PULL) -> None:
    """A command that was refused a moment ago; its workflow run is about to end."""
    title = f"rerun-test #{on} by {login} (comment {place.github.new_id()})"
    run = workflow_run(number, title, "in_progress", ago=timedelta(minutes=1))
    place.github.runs.append(run)
    done = {"status": "completed", "started_at": None, "completed_at": None, "html_url": None}
    place.github.jobs[number] = [
        {"name": "parse", "conclusion": "success", **done},
        {"name": "measure (${{ needs }})", "conclusion": "skipped", **done},
    ]


def test_a_typo_costs_no_cooldown_and_counts_nowhere(place: Workplace) -> None:
    for number, on in ((801, PULL), (802, 99), (803, 98)):
        refused(place, number, "maintainer", on)
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"
    assert place.github.cancelled == []


def test_an_account_that_is_gone_has_no_grant(place: Workplace) -> None:
    title = f"rerun-test #{PULL} by gone (comment 1)"
    place.github.runs.append(workflow_run(1, title, "success", ago=timedelta(hours=1)))
    place.says("/rerun-test test_a.py")
    assert place.parse()["action"] == "measure"


def test_a_stranger_is_told_once_a_day_who_may(place: Workplace) -> None:
    place.says("/rerun-test test_a.py", "stranger")
    assert place.parse() == {"action": "none"}
    assert "role write or above: `suites`: up to 200 repeats, 2 GPUs" in place.answer()
    title = f"rerun-test #{PULL} by stranger (comment {place.comment})"
    earlier = workflow_run(RUN - 1, title, "success", ago=timedelta(hours=23))
    place.github.runs.append(earlier)
    place.says("/rerun-test test_a.py", "stranger")
    assert place.parse() == {"action": "none"}
    assert len(place.github.by_bot(PULL)) == 1
    assert place.github.reactions[-1] == (place.comment, "-1")


@pytest.mark.parametrize("rest", ["--repeats 201", "--gpus 4", "docs/test_c.py"])
def test_a_refusal_says_what_would_be_allowed(place: Workplace, rest: str) -> None:
    place.says(f"/rerun-test test_a.py {rest}")
    assert place.parse() == {"action": "none"}
    assert "you may measure `suites`: up to 200 repeats, 2 GPUs" in place.answer()

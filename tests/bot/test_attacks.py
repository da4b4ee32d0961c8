"""Comments that try to get more than the bot gives, each with what comes of it.

Every row goes through the whole parsing job against the API. Nothing is ever measured but where a
row says so; a refusal names its rule; who has no access is told so once a day.
"""

import pytest

from tests.bot.attacks import FIRST_LINES, IGNORED, NOT_COMMANDS, SILENT, Attack
from tests.bot.attacks_around import AROUND
from tests.bot.workplace import PULL, Workplace


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
        assert [made for _, made in place.github.reactions] == ["eyes", "-1"]


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(FIRST_LINES + NOT_COMMANDS + AROUND) >= 60


@pytest.mark.parametrize("attack", [FIRST_LINES[0], FIRST_LINES[49], FIRST_LINES[-1]], ids=str)
def test_processes_do_the_same(place: Workplace, attack: Attack) -> None:
    place.says(attack.body)
    done = place.process("parse", "--policy", str(place.policy))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert place.outputs()["action"] == ("measure" if attack.outcome == "measure" else "none")

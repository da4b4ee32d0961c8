"""docs/how-to/bot.md names what the code has."""

import re
from pathlib import Path

from harness.bot.command.grammar import FLAGS
from harness.bot.policy.rules import Rule

DOCS = (Path(__file__).parents[2] / "docs/how-to/bot.md").read_text(encoding="utf-8")


def test_every_rule_is_documented_and_no_other() -> None:
    table = DOCS.partition("| rule | refuses |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.M)) == set(Rule)


def test_every_flag_is_documented() -> None:
    assert not [flag for flag in FLAGS if f"`{flag}" not in DOCS]

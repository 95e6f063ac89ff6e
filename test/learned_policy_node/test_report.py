"""The words of the status: the worst thing first, and nothing hidden behind it."""

from __future__ import annotations

import pytest

from learned_policy_node.report import Standing, report
from learned_policy_node.scheduler import Phase
from learned_policy_node.tally import Tally

CASES = {
    "well": (Standing("active", engaged=True), "ok", "active"),
    "taken": (Standing("active", lost="taken by teleop"), "warn", "active, lease taken by teleop"),
    "fault": (Standing("active", fault="NaN", lost="gone: stopped"), "error", "NaN"),
    "problem": (Standing("unconfigured", problem="no such file", fault="old"), "error", "no such file"),
}


@pytest.mark.parametrize("name", CASES)
def test_level_and_words(name: str) -> None:
    standing, level, words = CASES[name]
    assert report(standing, Tally())[:2] == (level, words)


def test_values_are_one_line_each_and_name_what_waits() -> None:
    standing = Standing("inactive", unapplied=["model", "lead_ticks"], swap="refused: no", missed=2, lost_messages=3)
    values = report(standing, Tally(ticks=5, refused=1, last_refusal="camera:front: stale", phase=Phase.PLAYING))[2]
    assert {key: values[key] for key in ("unapplied", "swap", "missed", "lost", "ticks", "last_refusal")} == {
        "unapplied": "model lead_ticks",
        "swap": "refused: no",
        "missed": 2,
        "lost": 3,
        "ticks": 5,
        "last_refusal": "camera:front: stale",
    }
    assert not any("\n" in str(value) for value in values.values())

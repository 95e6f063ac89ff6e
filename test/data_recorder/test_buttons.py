"""A button acts once when it is pressed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recorder.buttons import Buttons, parse_buttons
from learned_arm.errors import LearnedArmError

ACTIONS = ("start", "success", "failure")


@given(st.lists(st.lists(st.integers(0, 1), max_size=4), max_size=20))
def test_only_a_press_acts(states: list[list[int]]) -> None:
    buttons = Buttons({"start": 1, "success": 2})
    before: list[int] | None = None
    for now in states:
        down = {index for index, state in enumerate(now) if state}
        were = {index for index, state in enumerate(before or []) if state}
        fresh = set() if before is None else down - were
        expected = [name for name, index in (("start", 1), ("success", 2)) if index in fresh]
        assert buttons.pressed(now) == expected
        before = now


def test_a_mapping_is_read() -> None:
    assert parse_buttons("start:7, success:0", ACTIONS, "buttons") == {"start": 7, "success": 0}
    assert parse_buttons("", ACTIONS, "buttons") == {}


@pytest.mark.parametrize(
    "text", ["go:1", "start", "start:x", "start:-1", "start:99", "start:1,start:2", "start:1,success:1"]
)
def test_a_wrong_mapping_is_one_line(text: str) -> None:
    with pytest.raises(LearnedArmError, match="parameter buttons"):
        parse_buttons(text, ACTIONS, "parameter buttons")

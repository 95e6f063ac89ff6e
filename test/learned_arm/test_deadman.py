"""The deadman: only a switch that is pressed and speaks is held."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.deadman import Deadman, DeadmanSettings
from learned_arm.errors import LearnedArmError

MS = 1_000_000
HEARD = st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=20)


@given(HEARD, st.integers(0, 500))
def test_it_is_held_only_while_pressed_and_heard(messages: list[tuple[int, bool]], later_ms: int) -> None:
    deadman, now_ns = Deadman(0.1), 0
    for after_ms, pressed in messages:
        now_ns += after_ms * MS
        deadman.hear(pressed, now_ns)
    held = bool(messages) and messages[-1][1] and later_ms <= 100
    assert (deadman.problem(now_ns + later_ms * MS) == "") == held


def test_it_says_why() -> None:
    deadman = Deadman(0.1)
    assert deadman.problem(0) == "deadman never heard"
    deadman.hear(True, 0)
    deadman.require(100 * MS)
    assert deadman.problem(101 * MS) == "deadman silent for 101 ms, allowed 100 ms"
    deadman.hear(False, 200 * MS)
    with pytest.raises(LearnedArmError, match="deadman released; allowed: the deadman is held"):
        deadman.require(200 * MS)


@pytest.mark.parametrize(
    ("buttons", "pressed"), [([], False), ([1], False), ([0, 0], False), ([0, 1], True), ([1, 0, 1], False)]
)
def test_a_joystick_without_the_button_never_presses_it(buttons: list[int], pressed: bool) -> None:
    assert DeadmanSettings("/joy", "joy", button=1).pressed(buttons) is pressed


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "joy"},
        {"kind": "twist"},
        {"button": -1},
        {"button": 64},
        {"timeout_s": 0.0},
        {"timeout_s": 60.0},
        {"timeout_s": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused_by_their_name(wrong: dict[str, Any]) -> None:
    name = {"kind": "type"}.get(next(iter(wrong)), next(iter(wrong)))
    with pytest.raises(LearnedArmError, match=f"^parameter deadman_{name}: "):
        DeadmanSettings(**wrong)

"""Keys stand for a gamepad: a key counts while it is told again, and nothing moves without one."""

from __future__ import annotations

from arm_control.teleop.keyboard import (
    AGAIN_S,
    AXES,
    BUTTONS,
    FIRST_S,
    HELD_BUTTON,
    HELD_S,
    KEYS,
    LET_GO,
    Keyboard,
)
from arm_control.teleop.mapping import GamepadMapping, load_mapping
from learned_arm.robot import load_robot

NOTHING = [0.0] * AXES, [0] * BUTTONS


def test_without_a_key_nothing_is_asked_for() -> None:
    keyboard = Keyboard()
    keyboard.press("?", 0.0)
    assert keyboard.state(0.0) == NOTHING


def test_a_key_counts_until_a_held_one_would_be_told_again() -> None:
    keyboard = Keyboard()
    keyboard.press("w", 10.0)
    assert keyboard.state(10.0 + FIRST_S)[0][1] == 1.0
    assert keyboard.state(10.01 + FIRST_S)[0][1] == 0.0
    # The first repeat comes late, the later ones soon.
    keyboard.press("s", 20.0)
    keyboard.press("s", 20.5)
    assert keyboard.state(20.5 + AGAIN_S)[0][1] == -1.0
    assert keyboard.state(20.51 + AGAIN_S)[0][1] == 0.0


def test_the_lease_is_held_for_a_while_after_the_last_key() -> None:
    keyboard = Keyboard()
    keyboard.press("n", 5.0)
    axes, buttons = keyboard.state(5.0)
    assert buttons[0] == 1 and buttons[HELD_BUTTON] == 1 and not any(axes)
    assert keyboard.state(5.0 + HELD_S)[1][HELD_BUTTON] == 1
    assert keyboard.state(5.01 + HELD_S) == NOTHING


def test_space_lets_go_at_once() -> None:
    keyboard = Keyboard()
    keyboard.press("w", 1.0)
    keyboard.press(LET_GO, 1.1)
    assert keyboard.state(1.1) == NOTHING


def test_two_keys_of_one_axis_cancel_out() -> None:
    keyboard = Keyboard()
    keyboard.press("a", 1.0)
    keyboard.press("d", 1.0)
    assert not any(keyboard.state(1.0)[0])


def test_the_keys_reach_all_that_the_shipped_files_move() -> None:
    reached_axes = {key.number for key in KEYS.values() if key.end}
    reached_buttons = {key.number for key in KEYS.values() if not key.end}
    for name in ("ur5e_gamepad", "ur5e_tool"):
        mapping = load_mapping(name, load_robot("ur5e_sim"))
        assert isinstance(mapping, GamepadMapping)
        assert mapping.held_button == HELD_BUTTON
        assert {each.number for each in mapping.axes} <= reached_axes
        assert {each.number for each in mapping.buttons} <= reached_buttons

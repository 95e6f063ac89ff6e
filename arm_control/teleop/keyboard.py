"""Keys of a terminal -> what a gamepad would say.

A terminal tells that a key is pressed and, after a while, again and again; not that it was let go. So a key counts for
a moment, and a tap moves the arm for as long as a held key takes to be told of again.
"""

from __future__ import annotations

from dataclasses import dataclass

HELD_BUTTON = 9
"""The one that the shipped teleoperation files hold: LB."""
AXES, BUTTONS = 6, 15
# Terminals tell a held key again after a quarter to two thirds of a second, then thirty times a second.
FIRST_S, AGAIN_S = 0.7, 0.15
HELD_S = 3.0
"""So long after the last key the lease is kept."""
LET_GO = " "


@dataclass(frozen=True)
class Key:
    """What a key stands for: an axis at one of its ends, or a button."""

    number: int
    end: float = 0.0


# As on the gamepad: left stick, right stick, d-pad, A and B.
KEYS = {
    "w": Key(1, 1.0),
    "s": Key(1, -1.0),
    "a": Key(0, 1.0),
    "d": Key(0, -1.0),
    "r": Key(3, 1.0),
    "f": Key(3, -1.0),
    "c": Key(2, 1.0),
    "v": Key(2, -1.0),
    "i": Key(11),
    "k": Key(12),
    "j": Key(13),
    "l": Key(14),
    "n": Key(0),
    "m": Key(1),
}


class Keyboard:
    """What is pressed, by time."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        self._held_until_s = float("-inf")

    def press(self, key: str, now_s: float) -> None:
        """A key came; one that means nothing is passed over."""
        if key == LET_GO:
            self._until_s.clear()
            self._held_until_s = float("-inf")
        elif key in KEYS:
            again = self._until_s.get(key, float("-inf")) >= now_s
            self._until_s[key] = now_s + (AGAIN_S if again else FIRST_S)
            self._held_until_s = now_s + HELD_S

    def state(self, now_s: float) -> tuple[list[float], list[int]]:
        """Axes and buttons now."""
        axes, buttons = [0.0] * AXES, [0] * BUTTONS
        for name, until_s in self._until_s.items():
            key = KEYS[name]
            if now_s <= until_s and key.end:
                axes[key.number] += key.end
            elif now_s <= until_s:
                buttons[key.number] = 1
        buttons[HELD_BUTTON] = int(now_s <= self._held_until_s)
        return axes, buttons

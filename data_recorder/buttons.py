"""Buttons of a joystick that start and end episodes: `start:7,success:0`. Only the press counts, not the holding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from learned_arm.errors import LearnedArmError

_MOST_BUTTONS = 64


def parse_buttons(text: str, actions: Sequence[str], where: str) -> dict[str, int]:
    """`start:7,success:0` -> by action the index of its button.

    Raises:
        LearnedArmError: An action is unknown or twice, or an index is none.
    """
    found: dict[str, int] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        action, _, index = entry.partition(":")
        if action not in actions:
            raise LearnedArmError("unknown action of a button", where=where, got=action, allowed=list(actions))
        if not index.isdecimal() or int(index) >= _MOST_BUTTONS:
            allowed = f"0 to {_MOST_BUTTONS - 1}"
            raise LearnedArmError(f"no index of a button for {action}", where=where, got=index, allowed=allowed)
        if action in found or int(index) in found.values():
            raise LearnedArmError("an action or a button is named twice", where=where, got=entry, allowed="each once")
        found[action] = int(index)
    return found


class Buttons:
    """Turns the states of a joystick's buttons into actions.

    Args:
        mapping: By action the index of its button.
    """

    def __init__(self, mapping: Mapping[str, int]) -> None:
        self._mapping = dict(mapping)
        self._before: Sequence[int] | None = None

    def pressed(self, states: Sequence[int]) -> list[str]:
        """Actions whose button is down and was up before; the first states that are seen press nothing."""
        before, self._before = self._before, list(states)
        if before is None:
            return []
        return [
            action
            for action, index in self._mapping.items()
            if index < len(states) and states[index] and not (index < len(before) and before[index])
        ]

"""A switch that a person must keep pressed: released, silent and unplugged are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learned_arm import checked
from learned_arm.errors import LearnedArmError

KINDS = ("joy", "bool")
_MOST_BUTTONS = 64


@dataclass(frozen=True)
class DeadmanSettings:
    """Where the switch is read.

    Attributes:
        topic: Absolute topic, empty for an arm without a deadman.
        kind: `joy` (sensor_msgs/msg/Joy) or `bool` (std_msgs/msg/Bool).
        button: Index of the button in a Joy message.
        timeout_s: Silence longer than this counts as released. A joystick driver must repeat itself (autorepeat).
    """

    topic: str = ""
    kind: str = "joy"
    button: int = 0
    timeout_s: float = 0.3

    def __post_init__(self) -> None:
        if self.topic:
            checked.topic(self.topic, "parameter deadman_topic")
        checked.choice(*KINDS)(self.kind, "parameter deadman_type")
        checked.integer(0, _MOST_BUTTONS - 1)(self.button, "parameter deadman_button")
        checked.number(0.02, 5.0)(self.timeout_s, "parameter deadman_timeout_s")

    def pressed(self, buttons: Sequence[int]) -> bool:
        """Whether the switch is pressed in a Joy message; a joystick without that button never is."""
        return self.button < len(buttons) and bool(buttons[self.button])


class Deadman:
    """Whether the switch is held now. Times are monotonic, in nanoseconds."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_ns = round(timeout_s * 1e9)
        self._pressed = False
        self._heard_ns: int | None = None

    def hear(self, pressed: bool, monotonic_ns: int) -> None:
        """Take a message of the switch."""
        self._pressed, self._heard_ns = pressed, monotonic_ns

    def problem(self, monotonic_ns: int) -> str:
        """Why the arm may not move, empty while the switch is held."""
        if self._heard_ns is None:
            return "deadman never heard"
        silent_ns = monotonic_ns - self._heard_ns
        if silent_ns > self._timeout_ns:
            return f"deadman silent for {silent_ns / 1e6:.0f} ms, allowed {self._timeout_ns / 1e6:.0f} ms"
        return "" if self._pressed else "deadman released"

    def require(self, monotonic_ns: int) -> None:
        """Raise unless the switch is held.

        Raises:
            LearnedArmError: It is released, silent or was never heard.
        """
        problem = self.problem(monotonic_ns)
        if problem:
            raise LearnedArmError(problem, allowed="the deadman is held")

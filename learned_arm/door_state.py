"""The door's one state machine: which states there are, what leads from one to the next, and why it did.

    unconfigured --measured--> ready --engage--> holding <--follow / hold--> engaged
                                 ^                  |                           |
                                 +-----release------+---------------------------+
    any --stop--> stopped --clear--> ready          any --fault--> fault --clear--> ready

`clear` leads back to unconfigured where the arm was never measured. A fault is not weakened to a stop.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What the door is doing."""

    UNCONFIGURED = "unconfigured"
    READY = "ready"
    ENGAGED = "engaged"
    HOLDING = "holding"
    STOPPED = "stopped"
    FAULT = "fault"


MOVING = (State.ENGAGED, State.HOLDING)
LATCHED = (State.STOPPED, State.FAULT)
_LEASED = {State.ENGAGED, State.HOLDING}
_EVERY = set(State)

# Event -> states it is taken in -> the state it leads to. In every other state the event changes nothing.
TRANSITIONS: dict[str, tuple[set[State], State]] = {
    "measured": ({State.UNCONFIGURED}, State.READY),
    "engage": ({State.READY, *_LEASED}, State.HOLDING),
    "follow": (_LEASED, State.ENGAGED),
    "hold": (_LEASED, State.HOLDING),
    "release": (_LEASED, State.READY),
    "stop": (_EVERY - {State.FAULT}, State.STOPPED),
    "fault": (_EVERY - {State.FAULT}, State.FAULT),
    "clear": (set(LATCHED), State.READY),
}


class DoorState:
    """The state in force and the reason for it.

    Attributes:
        state: What the door is doing.
        reason: Why it is in this state, in words; empty at the start.
    """

    def __init__(self) -> None:
        self.state = State.UNCONFIGURED
        self.reason = ""
        self._was_measured = False

    def on(self, event: str, reason: str = "") -> bool:
        """Take an event of `TRANSITIONS`; whether the state machine took it. A reason replaces the one in force."""
        taken_in, to = TRANSITIONS[event]
        self._was_measured |= event == "measured"
        if self.state not in taken_in:
            return False
        self.state = State.UNCONFIGURED if event == "clear" and not self._was_measured else to
        self.reason = reason or self.reason
        return True

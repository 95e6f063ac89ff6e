"""What an arm's own software says of itself: a protective stop, a program that ended, a speed that was turned down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from learned_arm import checked
from learned_arm.errors import LearnedArmError

MESSAGES = ("bool", "float64")


@dataclass(frozen=True)
class Sign:
    """One topic of a driver that tells whether the arm can follow commands as they are meant.

    Attributes:
        topic: Where it is told.
        message: `bool` or `float64` of std_msgs.
        wanted: Of a bool: what it is when all is well.
        least: Of a float64: all is well from here on.
        latched: Whether the driver publishes it for late joiners (transient local), and only when it changes.
        stops: Whether nobody may move the arm otherwise; else it is only told.
        says: What it means when it is not as it should be, and what to do.
    """

    topic: str
    message: str
    wanted: bool
    least: float
    latched: bool
    stops: bool
    says: str

    def is_well(self, value: float) -> bool:
        """Whether a value is as it should be; what is no number is not."""
        if self.message == "bool":
            return bool(value) is self.wanted
        return math.isfinite(value) and value >= self.least

    def canonical(self) -> dict[str, Any]:
        """As plain data, in the form of the YAML file."""
        limit = {"wanted": self.wanted} if self.message == "bool" else {"least": self.least}
        kind = {"topic": self.topic, "message": self.message, **limit}
        return {**kind, "latched": self.latched, "stops": self.stops, "says": self.says}


class Signs:
    """The newest of each sign. One that was never heard says nothing: a stand-in without hardware may have none.

    Args:
        signs: Of the robot.
    """

    def __init__(self, signs: Sequence[Sign]) -> None:
        self._signs = {sign.topic: sign for sign in signs}
        self._values: dict[str, float] = {}

    def take(self, topic: str, value: float) -> None:
        """A message came."""
        self._values[topic] = value

    @property
    def problem(self) -> str:
        """Why nobody may move the arm; empty: nothing speaks against it."""
        return "; ".join(self._told(stops=True))

    @property
    def warning(self) -> str:
        """What somebody should know of it besides."""
        return "; ".join(self._told(stops=False))

    def _told(self, stops: bool) -> list[str]:
        bad = (sign for sign in self._signs.values() if sign.stops is stops and sign.topic in self._values)
        return [
            f"{sign.says} ({sign.topic}: {self._value(sign)})"
            for sign in bad
            if not sign.is_well(self._values[sign.topic])
        ]

    def _value(self, sign: Sign) -> str:
        value = self._values[sign.topic]
        return str(bool(value)).lower() if sign.message == "bool" else f"{value:g}"


def parse_signs(value: Any, where: str) -> tuple[Sign, ...]:
    """Check a robot file's `signs` whole.

    Raises:
        LearnedArmError: Unknown or missing key, or one topic twice.
    """
    found = checked.list_of(_sign)(value, where)
    checked.unlike([sign.topic for sign in found], "two signs on one topic", where)
    return found


def _sign(value: Any, where: str) -> Sign:
    section = checked.Section(value, where)
    message = section.take("message", checked.choice(*MESSAGES))
    is_bool = message == "bool"
    found = Sign(
        topic=section.take("topic", checked.topic),
        message=message,
        wanted=section.take("wanted", checked.boolean) if is_bool else True,
        least=0.0 if is_bool else section.take("least", checked.number(-1e9, 1e9)),
        latched=section.take("latched", checked.boolean, default=False),
        stops=section.take("stops", checked.boolean),
        says=section.take("says", checked.text),
    )
    section.done()
    if not found.says.strip():
        raise LearnedArmError("says nothing", where=f"{where}.says", allowed="what is wrong, and what to do")
    return found

"""Before a replay: is the robot that runs now the one that was recorded? What differs is refused, or is what is tested.

S3 means that no label of the one says anything about the other: nothing is played. S2 means that labels may not hold
any more: the replay is what finds out, and its verdict names it. The rest is told as a number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learned_arm.errors import LearnedArmError
from learned_arm.provenance_diff import Row, compare, short
from learned_arm.provenance_rules import Rules, Severity


@dataclass(frozen=True)
class Preflight:
    """What the comparison came to.

    Attributes:
        refuses: Changes of S3, in words.
        tests: Changes of S2, in words.
        lesser: How many changes there are of S1 and S0.
        not_compared: Why there was no comparison, empty when there was one.
    """

    refuses: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    lesser: int = 0
    not_compared: str = ""

    @property
    def refusal(self) -> str:
        """Why nothing may be played, in a line; empty when it may."""
        for first in self.refuses:
            more = f" and {len(self.refuses) - 1} more" if len(self.refuses) > 1 else ""
            return f"another robot than was recorded: {first}{more}"
        return ""

    def statement(self) -> dict[str, Any]:
        """For the verdict."""
        if self.not_compared:
            return {"not_compared": self.not_compared}
        return {"S3": list(self.refuses), "S2": list(self.tests), "lesser": self.lesser}


def preflight(recorded: Mapping[str, Any], live: Mapping[str, Any], rules: Rules) -> Preflight:
    """Compare the snapshot of an episode with the one of the robot that runs now."""
    try:
        rows = compare(recorded, live, rules)
    except LearnedArmError as error:
        return Preflight(not_compared=str(error))
    count = Counter(row.severity for row in rows)
    return Preflight(
        refuses=_words(rows, Severity.S3),
        tests=_words(rows, Severity.S2),
        lesser=count[Severity.S1] + count[Severity.S0],
    )


def _words(rows: list[Row], severity: Severity) -> tuple[str, ...]:
    found = (row for row in rows if row.severity is severity)
    return tuple(f"{row.place}: {short(row.before)} -> {short(row.after)} ({row.reason})" for row in found)

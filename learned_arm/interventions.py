"""A person who takes over from the policy: when, told from the commands alone, live and from a bag alike."""

from __future__ import annotations

from dataclasses import dataclass

POLICY, PERSON = "policy", "teleop"
# The stream of commands falls silent only when nobody commands: what comes after this long is another stretch.
_SILENCE_NS = 500_000_000


@dataclass(frozen=True)
class Intervention:
    """A stretch of commands of a person, after the policy had commanded in the same episode.

    Attributes:
        source: Who took over: `teleop`.
        start_ns: Stamp of its first command, ROS time.
        end_ns: Stamp of its last command, ROS time.
    """

    source: str
    start_ns: int
    end_ns: int


class InterventionWatch:
    """Follows `/arm/sent`, message by message in the order in which they were published."""

    def __init__(self) -> None:
        self._found: list[Intervention] = []
        self._policy_commanded = False
        self._open_ns: int | None = None
        self._last_ns = -1

    @property
    def found(self) -> tuple[Intervention, ...]:
        """Interventions so far; the last one may go on."""
        if self._open_ns is None:
            return tuple(self._found)
        return (*self._found, Intervention(PERSON, self._open_ns, self._last_ns))

    def add(self, stamp_ns: int, source: str) -> None:
        """Take one command.

        Args:
            stamp_ns: Its stamp, ROS time. One at or before the newest is dropped, as everywhere.
            source: Who commanded, empty for nobody.
        """
        if stamp_ns <= self._last_ns:
            return
        if source != PERSON or stamp_ns - self._last_ns > _SILENCE_NS:
            self._found, self._open_ns = list(self.found), None
        if source == PERSON and self._policy_commanded and self._open_ns is None:
            self._open_ns = stamp_ns
        self._policy_commanded = self._policy_commanded or source == POLICY
        self._last_ns = stamp_ns

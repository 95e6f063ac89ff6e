"""Notices a loop that stands still while the rest of the process runs on."""

from __future__ import annotations


class Watchdog:
    """Counts its own rounds since the loop last said that it is alive.

    It counts rounds and not seconds: a process that was stopped as a whole, or starved, stands still with its watchdog
    and is not blamed for it.

    Args:
        rounds: So many checks in a row without a sign of life, and the loop hangs.
    """

    def __init__(self, rounds: int) -> None:
        self._rounds, self._count = rounds, 0

    def feed(self) -> None:
        """The loop is alive."""
        self._count = 0

    def check(self) -> bool:
        """One round of the watchdog; whether the loop hangs."""
        self._count += 1
        return self._count > self._rounds

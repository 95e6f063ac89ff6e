"""The last seconds before an episode starts, kept in memory: an operator who starts late still has the beginning."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from data_recorder.episode_writer import Received


class PreRoll:
    """Keeps what was received last, bounded in time and in bytes.

    Args:
        length_s: How far back it reaches; 0 keeps nothing.
        capacity_bytes: Payload that it holds at most; the oldest goes first.
    """

    def __init__(self, length_s: float, capacity_bytes: int) -> None:
        self._length_ns = round(length_s * 1e9)
        self._capacity_bytes = capacity_bytes
        self._held: deque[Received] = deque()
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """Payload that it holds."""
        return self._bytes

    def add(self, messages: Sequence[Received]) -> None:
        """Take a batch, ordered by receive stamp."""
        if not self._length_ns or not messages:
            return
        self._held.extend(messages)
        self._bytes += sum(len(message.data) for message in messages)
        self._trim(messages[-1].received_ns)

    def take(self, now_ns: int) -> list[Received]:
        """What was received in the last seconds before now, oldest first; it is empty afterwards."""
        self._trim(now_ns)
        found = list(self._held)
        self.clear()
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._bytes = 0

    def _trim(self, now_ns: int) -> None:
        held = self._held
        while held and (held[0].received_ns < now_ns - self._length_ns or self._bytes > self._capacity_bytes):
            self._bytes -= len(held.popleft().data)

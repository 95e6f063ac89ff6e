"""What waits for the writer: messages up to a number of bytes, and commands, which always fit."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from data_recorder.episode_writer import Received


class Inbox:
    """A bounded queue between the thread that takes messages and the one that writes them.

    A message that does not fit is dropped and counted by topic: nothing is lost without a number.

    Args:
        capacity_bytes: Payload that may wait.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._items: deque[tuple[Any, int]] = deque()
        self._waiting_bytes = 0
        self._dropped: Counter[str] = Counter()
        self._ready = threading.Condition()

    @property
    def waiting_bytes(self) -> int:
        """Payload that waits."""
        return self._waiting_bytes

    def dropped(self) -> dict[str, int]:
        """Messages dropped by topic since the last `clear_dropped`."""
        with self._ready:
            return dict(self._dropped)

    def clear_dropped(self) -> None:
        """Begin to count anew."""
        with self._ready:
            self._dropped.clear()

    def put_messages(self, messages: Sequence[Received]) -> None:
        """Add a batch as far as there is room."""
        with self._ready:
            kept, size = [], 0
            for message in messages:
                if self._waiting_bytes + size + len(message.data) > self.capacity_bytes:
                    self._dropped[message.topic] += 1
                    continue
                kept.append(message)
                size += len(message.data)
            if kept:
                self._waiting_bytes += size
                self._items.append((kept, size))
                self._ready.notify()

    def put_command(self, command: Any) -> None:
        """Add a command; it is taken after everything that was put before it."""
        with self._ready:
            self._items.append((command, 0))
            self._ready.notify()

    def take(self) -> Any:
        """The next batch (a list) or command; waits for one."""
        with self._ready:
            while not self._items:
                self._ready.wait()
            item, size = self._items.popleft()
            self._waiting_bytes -= size
            return item

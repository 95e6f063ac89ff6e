"""A thread that ends what takes longer than its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Watch:
    """One thing under watch.

    Attributes:
        deadline_ns: Monotonic time.
        abort: Called once, by the watchdog's thread, when the deadline has passed.
        expired: Set before `abort` is called.
    """

    deadline_ns: int
    abort: Callable[[], None]
    expired: bool = False


class Watchdog:
    """Watches any number of things with one daemon thread, which begins with the first of them.

    A thread of its own works because ONNX Runtime gives the interpreter free while it runs a model.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._thread: threading.Thread | None = None
        self._wakes_ns: int | None = None

    @contextmanager
    def watch(self, deadline_ns: int, abort: Callable[[], None]) -> Iterator[Watch]:
        """Call `abort` when the block is still running at `deadline_ns`, monotonic."""
        watch = Watch(deadline_ns, abort)
        with self._changed:
            self._watches.append(watch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._guard, name="watchdog", daemon=True)
                self._thread.start()
            # A thread that wakes earlier anyway need not be woken: that would cost a switch at every inference.
            elif self._wakes_ns is None or deadline_ns < self._wakes_ns:
                self._changed.notify()
        try:
            yield watch
        finally:
            with self._changed:
                if watch in self._watches:
                    self._watches.remove(watch)

    def _guard(self) -> None:
        while True:
            for watch in self._wait():
                watch.expired = True
                watch.abort()

    def _wait(self) -> list[Watch]:
        """Wait until something is overdue; it is watched no longer."""
        with self._changed:
            while True:
                now_ns = time.monotonic_ns()
                overdue = [watch for watch in self._watches if watch.deadline_ns <= now_ns]
                if overdue:
                    self._watches = [watch for watch in self._watches if watch.deadline_ns > now_ns]
                    return overdue
                self._wakes_ns = min((watch.deadline_ns for watch in self._watches), default=None)
                self._changed.wait(None if self._wakes_ns is None else (self._wakes_ns - now_ns) / 1e9)

"""Calls back at the ticks of the absolute grid of ROS time, in real time, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.node import Node

_LONGEST_SLEEP_S = 0.1


class GridTicker:
    """Sleeps until each multiple of the period and calls `on_tick(tick_ns, late_ns)`.

    A tick that passed while the callback ran is left out, not made up for.
    """

    def __init__(self, node: Node, period_ns: int, on_tick: Callable[[int, int], None]) -> None:
        self._node, self._period_ns, self._on_tick = node, period_ns, on_tick
        self._running = True
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop calling back; waits for the callback in progress."""
        self._running = False
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2.0)

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _run(self) -> None:
        due_ns = (self._now_ns() // self._period_ns + 1) * self._period_ns
        while self._running:
            ahead_ns = due_ns - self._now_ns()
            if ahead_ns > 0:
                time.sleep(min(ahead_ns / 1e9, _LONGEST_SLEEP_S))
                continue
            self._on_tick(due_ns, -ahead_ns)
            due_ns = max(due_ns + self._period_ns, (self._now_ns() // self._period_ns) * self._period_ns)

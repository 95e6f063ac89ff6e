"""Calls back at the ticks of the absolute grid of ROS time, in real time, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rclpy.node import Node

# What is stamped with a tick needs a moment to arrive. Sampled at once, a tick would find older messages than the
# dataset builder finds in the bag, and labels relative to the measured joints would lag by that much in every chunk.
GRACE_NS = 10_000_000
_LONGEST_SLEEP_S = 0.1


class GridTicker:
    """Sleeps until each multiple of the period has passed by a grace and calls `on_tick(tick_ns, late_ns)`.

    A tick that passed while the callback ran is left out, not made up for.

    Args:
        node: Whose clock counts.
        period_ns: One tick.
        on_tick: Called from the thread; `late_ns` counts from the end of the grace.
        grace_ns: How long after its stamp a tick is called.
    """

    def __init__(self, node: Node, period_ns: int, on_tick: Callable[[int, int], None], *, grace_ns: int = 0) -> None:
        self._node, self._period_ns, self._on_tick, self._grace_ns = node, period_ns, on_tick, grace_ns
        self._running = True
        self._thread = threading.Thread(target=self._run, name="ticks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop calling back; waits for the callback in progress."""
        self._running = False
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2.0)

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds - self._grace_ns

    def _run(self) -> None:
        due_ns = (self._now_ns() // self._period_ns + 1) * self._period_ns
        while self._running:
            ahead_ns = due_ns - self._now_ns()
            if ahead_ns > 0:
                time.sleep(min(ahead_ns / 1e9, _LONGEST_SLEEP_S))
                continue
            self._on_tick(due_ns, -ahead_ns)
            due_ns = max(due_ns + self._period_ns, (self._now_ns() // self._period_ns) * self._period_ns)

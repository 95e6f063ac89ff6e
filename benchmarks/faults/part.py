"""A process of the rig that can be broken: it publishes at a rate and does what `/faults/strike` tells it."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

from rclpy.node import Node
from std_msgs.msg import String

from benchmarks.faults.world import STRIKE, STRUCK
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros import qos

NONE = "none"


class Part(Node):
    """Publishes from a thread of its own.

    Attributes:
        fault: What is broken now, `none` or one of `faults`.

    Args:
        name: Of the node, which `/faults/strike` calls it by.
        period_s: Between two calls of `publish`.
        faults: What it can be told to do wrong.
    """

    def __init__(self, name: str, period_s: float, faults: tuple[str, ...]) -> None:
        keep_freed_memory()
        super().__init__(name)
        self._period_s, self._faults = period_s, faults
        self.fault = NONE
        self._struck = self.create_publisher(String, STRUCK, qos.small())
        self.create_subscription(String, STRIKE, self._on_strike, qos.small())
        self._running = True
        self._thread = threading.Thread(target=self._work, name="publish", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._running = False
        self._thread.join(2.0)

    @abstractmethod
    def publish(self, now_ns: int) -> None:
        """One round; `now_ns` is ROS time."""

    @abstractmethod
    def struck(self, fault: str) -> None:
        """A fault begins, or `none`."""

    def _on_strike(self, message: String) -> None:
        name, fault = message.data.split(" ")
        if name != self.get_name():
            return
        if fault not in (NONE, *self._faults):
            raise ValueError(f"{name} has no fault {fault}")
        self.struck(fault)
        self.fault = fault
        self._struck.publish(String(data=f"{name} {fault} {time.monotonic_ns()}"))

    def _work(self) -> None:
        due_s = time.monotonic()
        while self._running:
            self.publish(self.get_clock().now().nanoseconds)
            due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
            time.sleep(max(due_s - time.monotonic(), 0.0))

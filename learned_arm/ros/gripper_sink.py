"""The action of a gripper as a sink of positions. Loaded only where a robot has such a gripper."""

from __future__ import annotations

import threading
import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from learned_arm.command_spec import Controller, GripperSettings
from learned_arm.gripper_goals import GripperGoals
from learned_arm.ros.gripper_actions import make_action

_POLL_S = 0.02
# A request that got no answer for so long is given up, and the newest position asked for instead.
_PATIENCE_NS = 1_000_000_000
# What the last goal of a process that ends is given to leave it.
_LAST_WORDS_S = 0.05


class GripperSink:
    """Sends goals from the executor's thread, where action clients live; positions may come from any thread.

    A goal is never cancelled. The controllers answer a cancel by holding the *measured* position with their own
    effort, which lets go of what the jaws hold. Positions are those of the safe stream, so the newest one is where the
    gripper shall stay, also after a stop; a goal that was reached, or stalled at an object, stays in force there.

    Raises:
        LearnedArmError: The package of the action's messages is not installed.
    """

    def __init__(self, node: Node, controller: Controller) -> None:
        settings = controller.command.settings
        assert isinstance(settings, GripperSettings)
        self.group = controller.groups[0]
        self._action = make_action(node, controller, settings)
        self._log = node.get_logger()
        self._goals, self._lock = GripperGoals(settings), threading.Lock()
        self._asked_ns: int | None = None
        self._counts = {"sent": 0, "rejected": 0, "aborted": 0}
        node.create_timer(_POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def status(self) -> str:
        """What became of the goals, for a status."""
        counts = ", ".join(f"{count} {word}" for word, count in self._counts.items())
        return counts if self._action.ready else f"{counts}, no controller"

    def see(self, position_rad: float) -> None:
        """Take the newest position of the safe stream."""
        with self._lock:
            self._goals.see(position_rad, time.monotonic_ns())

    def close(self) -> None:
        """The stream has ended for now."""
        with self._lock:
            self._goals.close(time.monotonic_ns())

    def halt(self) -> None:
        """The process ends: what was asked for last is sent, and nothing after it."""
        with self._lock:
            before, position_rad = self._goals.reference, self._goals.last()
        if position_rad is not None and self._action.ready:
            self._action.ask(position_rad, position_rad if before is None else before)
            time.sleep(_LAST_WORDS_S)

    def _poll(self) -> None:
        now_ns = time.monotonic_ns()
        if self._asked_ns is not None:
            if now_ns - self._asked_ns < _PATIENCE_NS:
                return
            self._refused("gave no answer", now_ns)
        if not self._action.ready:
            return
        with self._lock:
            before, position_rad = self._goals.reference, self._goals.goal(now_ns)
        if position_rad is not None:
            self._asked_ns = now_ns
            self._counts["sent"] += 1
            asked = self._action.ask(position_rad, position_rad if before is None else before)
            asked.add_done_callback(lambda answer: self._on_answer(answer.result(), now_ns))

    def _on_answer(self, handle: Any, asked_ns: int) -> None:
        if self._asked_ns == asked_ns:
            self._asked_ns = None
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda result: self._on_result(result.result()))
        else:
            self._refused("rejected a goal", time.monotonic_ns())

    def _on_result(self, response: Any) -> None:
        # A goal that a newer one replaced ends as cancelled, which is as it should be.
        if response.status == GoalStatus.STATUS_ABORTED:
            self._counts["aborted"] += 1
            why = self._action.why(response.result)
            self._log.info(f"{self.group}: the controller ended a goal: {why}", throttle_duration_sec=1.0)

    def _refused(self, what: str, now_ns: int) -> None:
        self._asked_ns = None
        self._counts["rejected"] += 1
        with self._lock:
            self._goals.refuse(now_ns)
        self._log.warning(f"{self.group}: the controller {what}", throttle_duration_sec=1.0)

"""Answers ticks: one message to the door for each, and what the policy saw beside it.

In real time a thread of its own does, which sleeps from tick to tick. In lock-step the one that takes messages does,
with the last one that a tick waited for: handing over to another thread would only take time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from learned_arm.clock_watch import TimeFaultError
from learned_arm.errors import LearnedArmError
from learned_arm.observation import digest
from learned_arm.ros import messages, qos
from learned_policy_node.door import SOURCE
from learned_policy_node.loop import PolicyLoop, TickResult
from learned_policy_node.pacing import Pacer
from learned_policy_node.tally import Tally

_JOIN_S = 5.0


class Answering:
    """Answers every tick that the pacer gives out while the lease is held.

    Attributes:
        fault: Why it holds at every tick until this is cleared; empty: it does not.
        tally: What the ticks gave.
        between_ticks: Whoever holds it, no tick of lock-step is being answered meanwhile.

    Args:
        node: Whose publishers are used.
        loop: Steps the policy.
        pacer: Gives out ticks.
        holds: Whether the lease is held.
        real_time: Whether ticks follow the clock, and streams that stopped arriving are refused.
    """

    def __init__(self, node: Node, loop: PolicyLoop, pacer: Pacer, holds: Callable[[], bool], real_time: bool) -> None:
        self.fault, self.tally = "", Tally()
        self.between_ticks = threading.Lock()
        self._node, self._loop, self._pacer, self._holds, self._real_time = node, loop, pacer, holds, real_time
        self._targets = node.create_publisher(JointTrajectory, f"/arm/{SOURCE}/targets", qos.small())
        self._ticks = node.create_publisher(JointState, "~/ticks", qos.small())
        self._thread = threading.Thread(target=self._work, name="schedule", daemon=True) if real_time else None
        if self._thread is not None:
            self._thread.start()

    def close(self) -> None:
        """End the thread, whose pacer must be closed."""
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._loop.close()
        for publisher in (self._targets, self._ticks):
            self._node.destroy_publisher(publisher)

    def arrived(self) -> None:
        """Something came that a tick may wait for; in real time none does."""
        if self._thread is not None:
            return
        with self.between_ticks:
            while (tick_ns := self._pacer.take()) is not None:
                self._answer(tick_ns)

    def _work(self) -> None:
        while True:
            try:
                tick_ns = self._pacer.wait()
            except LearnedArmError as error:
                self._loop.reset()
                self._latch(str(error))
                continue
            if tick_ns is None:
                return
            self._answer(tick_ns)

    def _answer(self, tick_ns: int) -> None:
        if not self._holds():
            return
        started_ns = time.monotonic_ns()
        result = TickResult(tick_ns)
        if not self.fault:
            try:
                result = self._loop.step(tick_ns, started_ns if self._real_time else None)
            except Exception as error:  # whatever went wrong, the door gets its answer: hold
                self._latch(f"{type(error).__name__}: {error}")
        if not self._holds():
            # Given back or taken away meanwhile: the door waits for nobody here.
            return
        self._targets.publish(messages.targets(tick_ns, self._loop.contract.robot.joints, result.timeline))
        answered_ns = time.monotonic_ns()
        names = [f"{stream}@{stamp_ns}" for stream, stamp_ns in result.stamps_ns.items()]
        if result.observation is not None:
            names.append(f"observation@{digest(result.observation)}")
        self._ticks.publish(messages.joint_state(tick_ns, names, np.empty(0)))
        self.tally.add(result, answered_ns - started_ns)
        if result.refusal is not None:
            words = f"hold at {tick_ns}: {result.refusal}"
            self._node.get_logger().warning(words, throttle_duration_sec=1.0)
            if result.fault:
                self._latch(result.refusal.reason)

    def distrust(self, error: TimeFaultError) -> None:
        """Whoever acts on stamps that lie must be armed again; while nobody acts, forgetting them is enough."""
        if self._holds() and not self.fault:
            self._latch(str(error))
        else:
            self._node.get_logger().error(f"refused: {error}", throttle_duration_sec=1.0)

    def _latch(self, reason: str) -> None:
        """Hold at every tick from now on."""
        self.fault = reason
        self._node.get_logger().error(f"fault: {reason}")

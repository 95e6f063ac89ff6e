"""The policy's side of the lease: asks `arm_node` for it, gives it back, notices when it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.task import Future
from rclpy.timer import Timer
from std_srvs.srv import SetBool

from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.remote import RemoteNode

SOURCE = "policy"
_PATIENCE_S = 5.0
# A status older than the lease may still come after it was given; one that comes so much later is news.
_NEWS_S = 1.0


class Door:
    """Client of `arm_node`. Its coroutines run in the node's executor; nothing here blocks.

    Attributes:
        holds: Whether the policy has the lease.
        lost: How it was lost (`taken by teleop`), until it is asked for again; empty: it was not.

    Args:
        node: The node whose executor serves the answers.
        on_lost: Called when the lease was lost.
        arm: Name of the door's node.
    """

    def __init__(self, node: Node, on_lost: Callable[[], object], arm: str = "/arm_node") -> None:
        self._node, self._on_lost = node, on_lost
        # For services that wait for the door: while one is open, everything else goes on.
        self.group = ReentrantCallbackGroup()
        self._arm = RemoteNode(node, arm)
        self._arm.prepare(engage=SetBool)
        node.create_subscription(DiagnosticStatus, f"{arm}/status", self._on_status, qos.small())
        self.holds, self.lost = False, ""
        self._seen, self._engaged_s = False, 0.0

    @property
    def ready(self) -> bool:
        """Whether the door has been discovered."""
        return self._arm.ready

    async def engage(self) -> str:
        """Take the lease.

        Returns:
            The door's words.

        Raises:
            LearnedArmError: The door is absent, silent, or refuses.
        """
        words = await self._answer_to(self._ask(True))
        self.holds, self.lost = True, ""
        self._seen, self._engaged_s = False, time.monotonic()
        return words

    async def release(self) -> str:
        """Give the lease back; see `engage`."""
        try:
            return await self._answer_to(self._ask(False))
        finally:
            self.holds = False

    def let_go(self) -> Future | None:
        """Give the lease back without waiting; the future ends with the answer, None: nothing to give."""
        held, self.holds, self.lost = self.holds, False, ""
        return self._ask(False) if held else None

    async def pause(self, pause_s: float) -> None:
        """Let the executor work for a while."""
        future: Future = Future(executor=self._node.executor)
        timer = self._timer(pause_s, lambda: future.set_result(None))
        try:
            await future
        finally:
            self._node.destroy_timer(timer)

    def _ask(self, engage: bool) -> Future:
        """A future of the door's (accepted, words)."""
        future: Future = Future(executor=self._node.executor)
        request = SetBool.Request(data=engage)
        self._arm.call(
            "engage",
            request,
            lambda accepted, words: future.set_result((accepted, words)),
            {"source": SOURCE},
        )
        return future

    async def _answer_to(self, future: Future) -> str:
        timer = self._timer(_PATIENCE_S, future.cancel)
        try:
            answer = await future
        finally:
            self._node.destroy_timer(timer)
        if answer is None:
            raise LearnedArmError("the door did not answer", where=self._arm.name, allowed=f"within {_PATIENCE_S} s")
        accepted, words = answer
        if not accepted:
            raise LearnedArmError("the door refused", where=self._arm.name, got=words)
        return words

    def _timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        return self._node.create_timer(period_s, callback, callback_group=self.group, clock=steady)

    def _on_status(self, message: DiagnosticStatus) -> None:
        """Learn that the lease is gone: to a human, or because the door stopped."""
        if not self.holds:
            return
        holder = messages.status_values(message).get("holder", "")
        if holder == SOURCE:
            self._seen = True
        elif self._seen or time.monotonic() - self._engaged_s > _NEWS_S:
            self.holds = False
            self.lost = f"taken by {holder}" if holder else f"gone: {message.message}"
            self._node.get_logger().warning(f"lease {self.lost}")
            self._on_lost()

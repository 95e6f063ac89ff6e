"""What the policy node has only while it is active: its ears, its thread of ticks, and the services that engage it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from learned_arm.errors import LearnedArmError
from learned_arm.ros.door import first_tick_ns
from learned_arm.ros.ticker import GRACE_NS
from learned_policy_node.answering import Answering
from learned_policy_node.door import SOURCE, Door
from learned_policy_node.intake import Intake
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.pacing import LockStepPacer, Pacer, RealTimePacer
from learned_policy_node.policy import ENGAGE, REQUEST

_READY_POLL_S = 0.05
_READY_POLLS = 40


class Active:
    """From activate to deactivate.

    Args:
        node: Whose subscriptions, publishers and services these are.
        loop: Steps the policy; begins anew here.
        door: The lease.
        lock_step: Whether the simulation waits for each tick.
        changed: Called when the status has changed.
    """

    def __init__(
        self, node: Node, loop: PolicyLoop, door: Door, lock_step: bool, changed: Callable[[], object]
    ) -> None:
        self._node, self._loop, self._door, self._lock_step, self._changed = node, loop, door, lock_step, changed
        loop.reset()
        if lock_step:
            self.pacer: Pacer = LockStepPacer(loop.contract.period_ns, loop.reached_tick_ns)
        else:
            self.pacer = RealTimePacer(loop.contract.period_ns, self._settled_ns, time.monotonic_ns)
        self.answering = Answering(node, loop, self.pacer, lambda: door.holds, not lock_step)
        self.intake = Intake(node, loop, lock_step, self.answering.arrived, self.answering.distrust)
        on_engage: Any = self._on_engage  # rclpy takes coroutines too
        self._services = [
            node.create_service(SetBool, "~/engage", on_engage, callback_group=door.group),
            node.create_service(Trigger, "~/reset", self._on_reset, callback_group=door.group),
        ]

    def close(self) -> None:
        """End the thread and take everything away; the lease has been given back."""
        self.intake.close()
        self.pacer.close()
        self.answering.close()
        for service in self._services:
            self._node.destroy_service(service)

    def lease_lost(self) -> None:
        """A human took the lease, or the door stopped: nothing planned before counts any more."""
        self.pacer.end()
        self._loop.forget()

    async def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            response.message = await (self._engage() if request.data else self._disengage())
            response.success = True
        except LearnedArmError as error:
            response.success, response.message = False, str(error)
        self._node.get_logger().info(f"engage({request.data}): {response.message}")
        self._changed()
        return response

    async def _engage(self) -> str:
        if self.answering.fault:
            raise LearnedArmError(f"fault: {self.answering.fault}", allowed="call ~/reset first")
        if self._door.holds:
            return f"{SOURCE} is engaged already"
        missing = self._missing()
        for _ in range(_READY_POLLS):
            if missing is None:
                break
            await self._door.pause(_READY_POLL_S)
            missing = self._missing()
        if missing is not None:
            raise LearnedArmError(missing, allowed="a running arm_node and every stream of the contract")
        words = await self._door.engage()
        self._loop.begin(ENGAGE)
        self.pacer.begin(first_tick_ns(words))
        self.answering.arrived()
        return words

    async def _disengage(self) -> str:
        words = await self._door.release()
        # Only now: in lock-step the door waits for an answer as long as the lease is held.
        self.pacer.end()
        return words

    def _missing(self) -> str | None:
        """What stands against engaging now: discovery may be under way, a stream may begin a moment later."""
        if not self._door.ready:
            return "the door is not there: start arm_node, and check ROS_DOMAIN_ID"
        if self._lock_step:
            silent = self._loop.silent_streams
            return f"{', '.join(silent)}: no message yet" if silent else None
        period_ns = self._loop.contract.period_ns
        refusal = self._loop.readiness(self._now_ns() // period_ns * period_ns, time.monotonic_ns())
        return str(refusal) if refusal is not None else None

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self.answering.between_ticks:
            if self._door.holds:
                # The streams stay: in lock-step the door waits for an answer that is made of them.
                self._loop.begin(REQUEST)
            else:
                self._loop.reset(REQUEST)
            self.answering.fault = ""
        response.success, response.message = True, "a new episode begins"
        self._changed()
        return response

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _settled_ns(self) -> int:
        """The time up to which messages have arrived: a tick is due a little after its stamp."""
        return self._now_ns() - GRACE_NS

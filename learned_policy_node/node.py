"""policy_node: runs a policy file as a source at the door. Lifecycle: configure loads, activate listens.

The executor's thread takes messages and answers services, another answers the ticks, and the model has a third: a slow
model delays its chunks, not the schedule. With `use_sim_time` the node works in lock-step and the model runs inside the
tick, so that nothing depends on the machine: while engaged it answers every tick of the contract's grid with
exactly one message on `/arm/policy/targets`, stamped with that tick and empty where the arm shall hold.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder, digest
from learned_arm.ros import messages, qos
from learned_arm.ros.door import first_tick_ns
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_arm.ros.ticker import GRACE_NS
from learned_policy_node.door import SOURCE, Door
from learned_policy_node.loading import AnyPolicy, open_policy, prove
from learned_policy_node.loop import PolicyLoop, TickResult
from learned_policy_node.onnx_policy import check_belongs
from learned_policy_node.pacing import LockStepPacer, Pacer, RealTimePacer
from learned_policy_node.scheduler import Phase
from learned_policy_node.settings import (
    check_rhythm,
    declare_settings,
    make_chunker,
    make_inference,
    make_rules,
    own_contract,
    read_settings,
)
from learned_policy_node.swap import TimeLimit

_STATUS_PERIOD_S = 0.5
_READY_POLL_S = 0.05
_READY_POLLS = 40
_JOIN_S = 5.0


class PolicyNode(LifecycleNode):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("policy_node")
        declare_settings(self)
        # A lifecycle node waits for somebody to activate it: without a launch system it must do so itself.
        automatic = parameter(self, "auto_activate", False, "configure and activate at start")
        self.auto_activate = bool(automatic)
        self._lock_step = is_lock_step(self)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.latched())
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.small())
        self.create_timer(_STATUS_PERIOD_S, self._publish_status, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._state = "unconfigured"
        self.problem = ""
        self._fault = ""
        self._policy: AnyPolicy | None = None
        self._loop: PolicyLoop | None = None
        self._pacer: Pacer | None = None
        self._door = Door(self)
        self._thread: threading.Thread | None = None
        self._entities: list[tuple[Any, Any]] = []
        self._clear_counts()

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, compare its contract, run its self-test."""
        try:
            self._configure()
        except LearnedArmError as error:
            self.problem = str(error)
            self.get_logger().error(self.problem)
            self._publish_status()
            return TransitionCallbackReturn.FAILURE
        self.problem, self._state = "", "inactive"
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the contract's streams and offer the services."""
        assert self._loop is not None
        contract = self._loop.contract
        self._clear_counts()
        self._fault = ""
        self._loop.reset()
        self._order = JointOrder(contract.robot.joints)
        if self._lock_step:
            self._pacer = LockStepPacer(contract.period_ns, self._loop.reached_tick_ns)
        else:
            self._pacer = RealTimePacer(contract.period_ns, self._settled_ns, time.monotonic_ns)
        self._targets = self._keep(
            self.destroy_publisher,
            self.create_publisher(JointTrajectory, f"/arm/{SOURCE}/targets", qos.small()),
        )
        self._ticks = self._keep(self.destroy_publisher, self.create_publisher(JointState, "~/ticks", qos.small()))
        for camera in contract.cameras.values():
            self._listen(Image, camera.topic, qos.images_in(self._lock_step), partial(self._on_stream, camera.topic))
        for source in contract.robot.joint_states:
            self._listen(JointState, source.topic, qos.small(), partial(self._on_stream, source.topic))
        self._listen(JointState, "/arm/sent", qos.small(), self._on_sent)
        services: dict[str, tuple[type, Any]] = {
            "~/engage": (SetBool, self._on_engage),
            "~/reset": (Trigger, self._on_reset),
        }
        for name, (kind, callback) in services.items():
            service = self.create_service(kind, name, callback, callback_group=self._door.group)
            self._keep(self.destroy_service, service)
        self._thread = threading.Thread(target=self._work, args=(self._loop, self._pacer), name="schedule", daemon=True)
        self._thread.start()
        self._state = "active"
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the lease back and stop listening."""
        self._stop()
        self._state = "inactive"
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model."""
        self._policy = self._loop = None
        self._state = "unconfigured"
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the lease back for good."""
        self._stop()
        self._state = "finalized"
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Give the lease back and end the thread, at the end of the process."""
        future = self._stop()
        if future is not None:
            rclpy.spin_until_future_complete(self, future, timeout_sec=1.0)

    def _configure(self) -> None:
        settings = read_settings(self)
        if not settings.model:
            raise LearnedArmError("no policy file", where="parameter model", allowed="path of an .onnx file")
        policy = open_policy(settings.model, settings.intra_op_threads, settings.provider)
        if settings.contract or settings.robot:
            own = own_contract(settings, policy.contract)
            check_belongs(policy.contract, own, policy.path.name)
        worst = prove(policy, settings.allow_untested)
        check_rhythm(policy.signature, policy.contract, settings)
        chunker = make_chunker(policy.contract, settings)
        limited = TimeLimit(policy, settings.inference_timeout_s, time.monotonic_ns)
        inference = make_inference(limited, settings, self._lock_step)
        self._loop = PolicyLoop(limited, chunker, make_rules(settings), inference)
        self._policy = policy
        self.get_logger().info(
            f"{policy.path.name} ({policy.hash[:12]}): "
            f"{policy.contract.task} on {policy.contract.robot.name}, {policy.kind} on {policy.runtime.provider}, "
            + ("UNTESTED" if worst is None else f"self-test of {policy.selftest.cases} cases off by {worst:.2g}")
        )

    def _stop(self) -> Future | None:
        future = self._door.let_go()
        if self._pacer is not None:
            self._pacer.close()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        if self._loop is not None:
            self._loop.close()
        for destroy, entity in self._entities:
            destroy(entity)
        self._entities.clear()
        self._pacer = self._thread = None
        return future

    def _keep(self, destroy: Any, entity: Any) -> Any:
        self._entities.append((destroy, entity))
        return entity

    def _listen(self, kind: type, topic: str, profile: Any, callback: Any) -> None:
        self._keep(self.destroy_subscription, self.create_subscription(kind, topic, callback, profile, raw=True))

    # Messages and services: the executor's thread

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _settled_ns(self) -> int:
        """The time up to which messages have arrived: a tick is due a little after its stamp."""
        return self._now_ns() - GRACE_NS

    def _on_stream(self, topic: str, raw: bytes, info: dict[str, Any]) -> None:
        received_ns = time.monotonic_ns()
        if self._loop is None or self._pacer is None:
            return
        # One publisher a topic: a gap in its numbers is a message that never came here.
        number = info["publication_sequence_number"]
        last = self._numbers.get(topic)
        if last is not None and number > last + 1:
            self._counts["lost"] += number - last - 1
        self._numbers[topic] = number
        try:
            self._loop.push(topic, cdr.header_stamp_ns(raw), received_ns, raw)
        except LearnedArmError as error:
            self.get_logger().error(f"{topic} refused: {error}", throttle_duration_sec=1.0)
            return
        self._pacer.poke()

    def _on_sent(self, raw: bytes) -> None:
        if self._loop is None:
            return
        try:
            view = cdr.read_joint_state(raw)
            # Without names nothing was commanded at this control tick.
            if view.names:
                self._loop.command_sent(view.stamp_ns, self._order.positions(view.names, view.position))
        except LearnedArmError as error:
            self.get_logger().error(f"/arm/sent refused: {error}", throttle_duration_sec=1.0)

    async def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        try:
            response.message = await (self._engage() if request.data else self._disengage())
            response.success = True
        except LearnedArmError as error:
            response.success, response.message = False, str(error)
        self.get_logger().info(f"engage({request.data}): {response.message}")
        self._publish_status()
        return response

    async def _engage(self) -> str:
        loop, pacer = self._active()
        if self._fault:
            raise LearnedArmError(f"fault: {self._fault}", allowed="call ~/reset first")
        if self._door.holds:
            return f"{SOURCE} is engaged already"
        missing = self._missing(loop)
        for _ in range(_READY_POLLS):
            if missing is None:
                break
            await self._door.pause(_READY_POLL_S)
            missing = self._missing(loop)
        if missing is not None:
            raise LearnedArmError(missing, allowed="a running arm_node and every stream of the contract")
        words = await self._door.engage()
        loop.begin()
        pacer.begin(first_tick_ns(words))
        return words

    async def _disengage(self) -> str:
        _, pacer = self._active()
        words = await self._door.release()
        # Only now: in lock-step the door waits for an answer as long as the lease is held.
        pacer.end()
        return words

    def _active(self) -> tuple[PolicyLoop, Pacer]:
        if self._loop is None or self._pacer is None:
            raise LearnedArmError("not active", got=self._state, allowed="active")
        return self._loop, self._pacer

    def _missing(self, loop: PolicyLoop) -> str | None:
        """What stands against engaging now: discovery may be under way, a stream may begin a moment later."""
        if not self._door.ready:
            return "the door is not there: start arm_node, and check ROS_DOMAIN_ID"
        if self._lock_step:
            silent = loop.silent_streams
            return f"{', '.join(silent)}: no message yet" if silent else None
        period_ns = loop.contract.period_ns
        refusal = loop.readiness(self._now_ns() // period_ns * period_ns, time.monotonic_ns())
        return str(refusal) if refusal is not None else None

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._loop is not None and self._door.holds:
            # The streams stay: in lock-step the door waits for an answer that is made of them.
            self._loop.begin()
        elif self._loop is not None:
            self._loop.reset()
        self._fault = ""
        response.success, response.message = True, "a new episode begins"
        self._publish_status()
        return response

    # Ticks: the schedule's thread

    def _work(self, loop: PolicyLoop, pacer: Pacer) -> None:
        while True:
            try:
                tick_ns = pacer.wait()
            except LearnedArmError as error:
                loop.reset()
                self._latch(str(error))
                continue
            if tick_ns is None:
                return
            self._answer(loop, pacer, tick_ns)

    def _answer(self, loop: PolicyLoop, pacer: Pacer, tick_ns: int) -> None:
        if not self._door.holds:
            pacer.end()
            return
        started_ns = time.monotonic_ns()
        result = TickResult(tick_ns)
        if not self._fault:
            try:
                result = loop.step(tick_ns, None if self._lock_step else started_ns)
            except Exception as error:  # whatever went wrong, the door gets its answer: hold
                self._latch(f"{type(error).__name__}: {error}")
        self._targets.publish(messages.targets(tick_ns, loop.contract.robot.joints, result.timeline))
        answered_ns = time.monotonic_ns()
        names = [f"{stream}@{stamp_ns}" for stream, stamp_ns in result.stamps_ns.items()]
        if result.observation is not None:
            names.append(f"observation@{digest(result.observation)}")
        self._ticks.publish(messages.joint_state(tick_ns, names, np.empty(0)))
        self._counts["ticks"] += 1
        self._phase = result.phase
        if result.asked:
            self._counts["inferences"] += 1
            self._step_ms = (answered_ns - started_ns) / 1e6
        if result.refusal is not None:
            self._counts["refused"] += 1
            self._last_refusal = str(result.refusal)
            self.get_logger().warning(f"hold at {tick_ns}: {result.refusal}", throttle_duration_sec=1.0)
            if result.fault:
                self._latch(result.refusal.reason)

    def _latch(self, reason: str) -> None:
        """Hold at every tick from now on, until a reset."""
        self._fault = reason
        self.get_logger().error(f"fault: {reason}")

    # Status

    def _clear_counts(self) -> None:
        self._counts: Counter[str] = Counter()
        self._numbers: dict[str, int] = {}
        self._last_refusal = ""
        self._step_ms = 0.0
        self._phase = Phase.WAITING

    def _publish_status(self) -> None:
        problem = self.problem or self._fault
        values: dict[str, object] = {
            "state": self._state,
            "engaged": self._door.holds,
            "fault": self._fault,
            **{name: self._counts[name] for name in ("ticks", "inferences", "refused", "lost")},
            "missed": self._pacer.missed if self._pacer is not None else 0,
            "last_refusal": self._last_refusal,
            "step_ms": round(self._step_ms, 3),
        }
        if self._policy is not None:
            values |= {"model": self._policy.hash, "contract": self._policy.contract.hash}
            values |= {"kind": self._policy.kind, "provider": self._policy.runtime.provider}
            values["tested"] = self._policy.tested
        if self._loop is not None:
            values["out_of_order"] = sum(self._loop.out_of_order.values())
            values["schedule"] = self._phase.value
            values["latency_ms"] = round(self._loop.latency_ns / 1e6, 3)
            values["late_steps"] = self._loop.late_steps
        untested = self._policy is not None and not self._policy.tested
        level = "error" if problem else "warn" if untested else "ok"
        words = problem or (f"{self._state}, a foreign policy without a self-test" if untested else self._state)
        status = messages.status("policy_node", level, words, values)
        self._status.publish(status)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def make_node() -> PolicyNode:
    """Build the node; with `auto_activate` it is active afterwards.

    Raises:
        LearnedArmError: `auto_activate` was asked for and a transition failed; the text says why.
    """
    node = PolicyNode()
    if node.auto_activate:
        success = TransitionCallbackReturn.SUCCESS
        if node.trigger_configure() != success or node.trigger_activate() != success:
            problem = node.problem or "cannot be activated"
            node.destroy_node()
            raise LearnedArmError(problem)
    return node


def main() -> int:
    """Entry point."""
    return run(make_node)


if __name__ == "__main__":
    raise SystemExit(main())

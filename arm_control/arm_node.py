"""arm_node: the one process that commands the arm. It never touches an image."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Float64
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

from arm_control.lock_step import LockStep
from arm_control.settings import (
    declare_contract,
    declare_deadman,
    declare_realtime_priority,
    declare_source,
    declare_source_timeout,
    declare_target_check,
)
from learned_arm import cdr, cdr_write
from learned_arm.command_spec import timeout_warnings
from learned_arm.commander import SOURCES, Command, Commander
from learned_arm.control_grid import ControlGrid
from learned_arm.deadman import Deadman, DeadmanSettings
from learned_arm.door_state import LATCHED, State
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.door import with_first_tick
from learned_arm.ros.listener import Listener
from learned_arm.ros.node import is_lock_step, run
from learned_arm.ros.polled import PolledSubscription
from learned_arm.ros.priority import lock_memory, take_priority
from learned_arm.ros.sinks import CommandSinks
from learned_arm.signs import Sign, Signs
from learned_arm.watchdog import Watchdog

_STATUS_PERIOD_S = 0.2
_ONE_MOMENT_NS = 100_000
_WATCHDOG_PERIOD_S = 0.05
_WATCHDOG_ROUNDS = 10
_LATENESS_OVER_S = 60
_LAST_WORDS_S = 2.0
# Joint states are read this part of a control period before the step that uses them.
_READ_AHEAD = 4
_LONGEST_BRAKING_S = 1.0
_NOTHING = np.empty(0)


class ArmNode(Node):
    """Takes targets from sources, gives commands to controllers at the control rate."""

    def __init__(self) -> None:
        super().__init__("arm_node")
        self._contract = declare_contract(self)
        declare_source(self)
        deadman = declare_deadman(self)
        priority = declare_realtime_priority(self)
        self._deadman = Deadman(deadman.timeout_s) if deadman.topic else None
        self._commander = Commander(self._contract.robot, self._deadman, source_timeout_s=declare_source_timeout(self))
        self._target_check = declare_target_check(self, self._contract.robot)
        self._lock = threading.Lock()
        in_lock_step = is_lock_step(self)
        self._lock_step = self._in_step() if in_lock_step else None
        # Real time has a control loop, which takes no turns.
        self._turn = self._lock_step.turn if self._lock_step else nullcontext()
        self._sinks = CommandSinks(self, self._contract.robot, lock_step=in_lock_step)
        self._requested = self.create_publisher(JointState, "/arm/requested", qos.small())
        self._sent = self.create_publisher(JointState, "/arm/sent", qos.small())
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.small())
        self._listener = Listener(self, "sources")
        self._polled: dict[str, PolledSubscription] = {}
        for state in self._contract.robot.joint_states:
            if in_lock_step:
                self._listener.listen(
                    JointState, state.topic, qos.small(), partial(self._on_awaited_joints, state.topic)
                )
            else:
                self._polled[state.topic] = PolledSubscription(self, JointState, state.topic, qos.small())
        self._signs = Signs(self._contract.robot.signs)
        self._told_by_driver = {sign: self._listen_to(sign) for sign in self._contract.robot.signs}
        self._watch_deadman(deadman)
        for source in SOURCES:
            topic = f"/arm/{source}/targets"
            self._listener.listen(JointTrajectory, topic, qos.small(), partial(self._on_targets, source))
        self.create_service(SetBool, "~/engage", self._on_engage)
        self.create_service(Trigger, "~/stop", self._on_stop)
        self.create_service(Trigger, "~/clear_fault", self._on_clear_fault)
        if not in_lock_step:
            for warning in timeout_warnings(self._contract.robot.controllers):
                self.get_logger().warning(warning)
        self._last_state = ""
        self._commanding = False
        self._running = True
        self.finished, self.exit_status = False, 0
        self.create_timer(_STATUS_PERIOD_S, self._on_status_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._thread = None
        robot = self._contract.robot
        self._grid = ControlGrid(robot.control_period_ns, time.monotonic_ns(), _LATENESS_OVER_S * robot.control_rate_hz)
        if not in_lock_step:
            self._take_priority(priority)
            self._watchdog = Watchdog(_WATCHDOG_ROUNDS)
            self._thread = threading.Thread(target=self._run_in_real_time, name="control", daemon=True)
            self._thread.start()
            threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()
        self._listener.start()

    def _in_step(self) -> LockStep:
        contract = self._contract
        contract.require_control_ticks("in lock-step every tick is a control tick")
        topics = [each.topic for each in contract.robot.joint_states]
        return LockStep(
            self._commander, contract.period_ns, topics, self._take, self._publish, monotonic_ns=time.monotonic_ns
        )

    def close(self) -> None:
        """Brake, end the control loop, and leave every controller in a state that may last."""
        self._listener.close()
        if self._thread is not None:
            if not self.finished:
                self._brake()
            self._running = False
            self._thread.join(timeout=1.0)
        self._sinks.halt()

    def _brake(self) -> None:
        with self._lock:
            self._commander.stop("arm_node ends")
        deadline_s = time.monotonic() + _LONGEST_BRAKING_S
        while not (self._commander.safety.at_rest or self.finished) and time.monotonic() < deadline_s:
            time.sleep(1.0 / self._contract.robot.control_rate_hz)

    def _now_ns(self) -> int:
        # Unless time is simulated, the node's clock is the system's; asking rclpy for it takes fifty times as long.
        return self.get_clock().now().nanoseconds if self._lock_step else time.time_ns()

    def _clocks(self) -> tuple[int, int]:
        """ROS and monotonic time of one moment, ns."""
        while True:
            before_ns, now_ns, after_ns = time.monotonic_ns(), self._now_ns(), time.monotonic_ns()
            # Interrupted between the two, they would look like a jump of one of them.
            if after_ns - before_ns < _ONE_MOMENT_NS:
                return now_ns, after_ns

    def _listen_to(self, sign: Sign) -> PolledSubscription:
        """What tells this several times a second is looked at when the status is told: nobody need wake for it."""
        kind = {"bool": Bool, "float64": Float64}[sign.message]
        return PolledSubscription(self, kind, sign.topic, qos.latched() if sign.latched else qos.newest())

    def _hear_driver(self) -> None:
        for sign, told in self._told_by_driver.items():
            for raw in told.take():
                try:
                    value = cdr.read_bool(raw) if sign.message == "bool" else cdr.read_float64(raw)
                except LearnedArmError as error:
                    self.get_logger().error(f"{sign.topic} refused: {error}", throttle_duration_sec=1.0)
                else:
                    self._signs.take(sign.topic, value)
        if self._told_by_driver:
            with self._turn, self._lock:
                self._commander.driver_objects(self._signs.problem)

    def _watch_deadman(self, settings: DeadmanSettings) -> None:
        deadman = self._deadman
        if deadman is None:
            return

        def on_message(message: Any) -> None:
            pressed = settings.pressed(message.buttons) if settings.kind == "joy" else bool(message.data)
            with self._lock:
                deadman.hear(pressed, time.monotonic_ns())

        kind = Joy if settings.kind == "joy" else Bool
        # Best effort, so that it matches every joystick driver; what is lost is repeated or counts as silence.
        self.create_subscription(kind, settings.topic, on_message, qos_profile_sensor_data)

    def _take_priority(self, priority: int) -> None:
        if priority == 0:
            return
        for take in (partial(take_priority, priority), lock_memory):
            try:
                take()
            except LearnedArmError as error:
                self.get_logger().warning(f"{error}; the control loop goes on without, and may be late now and then")

    def _on_joints(self, topic: str, raw: bytes) -> cdr.JointStateView | None:
        view = None
        try:
            view = cdr.read_joint_state(raw)
            now_ns = None if self._lock_step else self._now_ns()
            with self._lock:
                self._commander.measure(view, time.monotonic_ns(), topic=topic, now_ns=now_ns)
        except LearnedArmError as error:
            self.get_logger().error(f"joint states refused: {error}", throttle_duration_sec=1.0)
            if self._lock_step and self._commander.holder is not None:
                # In real time their silence is the fault; here each tick is awaited and none can be left out.
                self._commander.fault(f"joint states refused: {error}")
        return view

    def _on_awaited_joints(self, topic: str, raw: bytes, _info: object) -> None:
        assert self._lock_step is not None
        with self._turn:
            view = self._on_joints(topic, raw)
            if view is not None:
                self._lock_step.on_joints(topic, view.stamp_ns)

    def _on_targets(self, source: str, raw: bytes, _info: object) -> None:
        try:
            view = cdr.read_joint_trajectory(raw)
        except LearnedArmError as error:
            self.get_logger().error(f"targets of {source} refused: {error}", throttle_duration_sec=1.0)
            return
        if self._lock_step is not None:
            self._lock_step.on_targets(source, view)
        else:
            self._take(source, view, self._now_ns())

    def _take(self, source: str, view: cdr.TrajectoryView, now_ns: int) -> None:
        try:
            if self._target_check is not None:
                # Before the lock: the control loop must not wait for it.
                self._target_check.require_free(view.names, view.positions)
            with self._lock:
                self._commander.targets(source, view, now_ns)
        except LearnedArmError as error:
            self.get_logger().error(f"targets of {source} refused: {error}", throttle_duration_sec=1.0)

    def _run_in_real_time(self) -> None:
        try:
            self._control()
        finally:
            # Without its control loop this process is no door: it ends, and its status says so.
            self.exit_status, self.finished = int(self._running), True

    def _control(self) -> None:
        grid = self._grid
        # What a step needs is read ahead of its time: neither that nor a late waking makes the command late then.
        ahead_ns = self._contract.robot.control_period_ns // _READ_AHEAD
        while self._running:
            _sleep_until(grid.due_ns - ahead_ns)
            for topic, polled in self._polled.items():
                for raw in polled.take():
                    self._on_joints(topic, raw)
            _sleep_until(grid.due_ns)
            with self._lock:
                now_ns, monotonic_ns = self._clocks()
                grid.begin(monotonic_ns)
                command = self._commander.step(now_ns, monotonic_ns)
            self._publish(command)
            self._watchdog.feed()

    def _watch_loop(self) -> None:
        while self._running and not self.finished:
            time.sleep(_WATCHDOG_PERIOD_S)
            if self._watchdog.check():
                print(f"error: the control loop hung for {_WATCHDOG_ROUNDS * _WATCHDOG_PERIOD_S:g} s", file=sys.stderr)
                self.exit_status, self.finished = 1, True
                self._sinks.halt()
                time.sleep(_LAST_WORDS_S)
                # The loop may hold the lock that the orderly end needs.
                os._exit(1)

    def _publish(self, command: Command) -> None:
        joints, source = self._contract.robot.joints, command.source
        self._sinks.send(command)
        if command.sent_rad is not None:
            if command.requested_rad is not None:
                requested = cdr_write.joint_state(command.stamp_ns, joints, command.requested_rad, source)
                self._requested.publish(requested)
            self._sent.publish(cdr_write.joint_state(command.stamp_ns, joints, command.sent_rad, source))
        elif self._lock_step or self._commanding:
            # The simulation waits for this tick's answer; in real time one such message says that the door rests.
            self._sent.publish(cdr_write.joint_state(command.stamp_ns, (), _NOTHING))
        self._commanding = command.sent_rad is not None
        self._tell_a_change()

    def _tell_a_change(self) -> None:
        """Say at once who holds the lease now: in lock-step the next control tick may wait for its new holder."""
        state = f"{self._commander.state.value} {self._commander.holder}"
        if state != self._last_state:
            self._last_state = state
            if self._commander.state in LATCHED:
                self.get_logger().error(f"{self._commander.state.value}: {self._commander.reason}")
            self._publish_status()

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        source = str(self.get_parameter("source").value)
        try:
            with self._turn, self._lock:
                if request.data:
                    response.message = self._engage(source)
                else:
                    response.message = self._commander.release(source)
            response.success = True
        except LearnedArmError as error:
            response.success, response.message = False, str(error)
        self.get_logger().info(f"engage({request.data}) by {source}: {response.message}")
        self._tell_a_change()
        if self._lock_step:
            self._lock_step.step_when_ready()
        return response

    def _engage(self, source: str) -> str:
        if self._lock_step is None:
            return self._commander.engage(source, self._now_ns(), time.monotonic_ns())
        # Each tick is awaited there, so joint states are never silent; a person is.
        self._commander.require_deadman(time.monotonic_ns())
        words = self._commander.engage(source, self._lock_step.now_ns)
        self._lock_step.on_engaged(source)
        return with_first_tick(words, self._lock_step.next_tick_ns)

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._turn, self._lock:
            self._commander.stop("~/stop was called")
        response.success, response.message = True, self._commander.reason
        self._tell_a_change()
        if self._lock_step:
            self._lock_step.step_when_ready()
        return response

    def _on_clear_fault(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._turn, self._lock:
            response.message = self._commander.clear_fault()
        response.success = True
        return response

    def _on_status_timer(self) -> None:
        if self._lock_step:
            self._lock_step.step_when_ready()
        self._hear_driver()
        self._publish_status()

    def _punctuality(self) -> dict[str, object]:
        """How punctual the control loop is, for the status; lock-step has no time to be late in."""
        if self._lock_step:
            return {}
        late = self._grid.lateness()
        return {
            "tick_late_ms_p99": round(late.p99_ms, 3),
            "tick_late_ms_max": round(late.max_ms, 3),
            "ticks_missed": self._grid.missed,
        }

    def _publish_status(self) -> None:
        commander = self._commander
        level = {State.UNCONFIGURED: "warn", State.STOPPED: "error", State.FAULT: "error"}.get(commander.state, "ok")
        values = {
            "state": commander.state.value,
            "holder": commander.holder or "",
            "measured": commander.measured_rad is not None,
            "refused_targets": commander.refused_targets,
            "time_faults": commander.time_faults,
            **self._punctuality(),
            **{f"clamped_{name}": count for name, count in sorted(commander.clamp_counts.items())},
            **self._sinks.status(),
        }
        if self._target_check is not None:
            values["colliding_targets"] = self._target_check.refused
        if self._told_by_driver:
            values["driver"] = self._signs.problem or self._signs.warning
        status = messages.status("arm_node", level, commander.reason or commander.state.value, values)
        self._status.publish(status)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def _sleep_until(monotonic_ns: int) -> None:
    pause_s = (monotonic_ns - time.monotonic_ns()) / 1e9
    if pause_s > 0:
        time.sleep(pause_s)


def main() -> int:
    """Entry point."""
    return run(ArmNode)


if __name__ == "__main__":
    raise SystemExit(main())

"""teleop_node: a person's leader arm or gamepad as the source `teleop` of the door; a human always wins the lease."""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from arm_control.settings import declare_contract
from arm_control.teleop.gamepad import Gamepad
from arm_control.teleop.leader import Leader
from arm_control.teleop.mapping import TRAJECTORY, LeaderMapping, load_mapping
from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_arm.timeline import Timeline

SOURCE = "teleop"
_POLL_S = 0.02
_STATUS_S = 0.5
# A target is reached this much later: messages of 20 Hz and more are joined without a stop between.
_LEAD_NS = 70_000_000
# So long a target is held without a newer one; silence past `max_age_s` gives the lease back.
_HOLD_NS = 300_000_000


class TeleopNode(Node):
    """Takes the lease when the person wants it, follows them while they hold it, gives it back when they let go.

    What is asked for before the lease is there, or after it was lost, moves nothing: the person lets go and takes it
    anew.
    """

    def __init__(self) -> None:
        super().__init__("teleop_node")
        self._contract = declare_contract(self)
        self._robot = self._contract.robot
        name = parameter(self, "mapping", "", "teleoperation file: name or path", read_only=True)
        if is_lock_step(self):
            raise LearnedArmError(
                "a person moves in real time", where="parameter use_sim_time", got=True, allowed=False
            )
        self._mapping = load_mapping(name, self._robot)
        self._leader: Leader | None = None
        self._gamepad: Gamepad | None = None
        self._arm = MeasuredArm(self._robot)
        self._door = DoorClient(self, self._robot, SOURCE)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._state, self._reason, self._drift = "idle", "", ""
        self._seen_as_holder = self._wanted = False
        self._timeline: Timeline | None = None
        self._target: NDArray[np.float64] | None = None
        self._heard_s: float | None = None
        self._told_s = 0.0
        for source in self._robot.joint_states:
            take = self._joints_callback(source.topic)
            self.create_subscription(JointState, source.topic, take, qos.newest(1), raw=True)
        if isinstance(self._mapping, LeaderMapping):
            self._leader = Leader(self._mapping, self._robot)
            kind = JointTrajectory if self._mapping.message == TRAJECTORY else JointState
            self.create_subscription(kind, self._mapping.topic, self._on_leader, qos.newest(1), raw=True)
        else:
            self._gamepad = Gamepad(self._mapping, self._robot)
            # Of a device that tells changes every message counts: a button that was let go must not stay pressed.
            profile = qos.small() if self._mapping.button_events else qos.newest(1)
            self.create_subscription(Joy, self._mapping.topic, self._on_joy, profile)
        self.create_subscription(DiagnosticStatus, "/arm_node/status", self._on_door, qos.small())
        self.create_service(SetBool, "~/engage", self._on_engage)
        self.create_timer(_POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """The process ends: let go."""
        if self._state == "engaged":
            self._door.send(self._now_ns(), None)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    # -- what comes in -------------------------------------------------------------------------------------------

    def _joints_callback(self, topic: str):
        def take(raw: bytes) -> None:
            try:
                self._arm.take(topic, cdr.read_joint_state(raw), time.monotonic_ns())
            except LearnedArmError as error:
                self._let_go(f"joint states refused: {error}")

        return take

    def _on_leader(self, raw: bytes) -> None:
        measured = self._arm.position_rad
        if self._leader is None or measured is None:
            return
        try:
            kept = measured if self._target is None or self._state != "engaged" else self._target
            target = self._leader.target(raw, kept)
        except LearnedArmError as error:
            self._let_go(f"leader refused: {error}")
            return
        self._heard_s, self._target = time.monotonic(), target
        self._drift = self._leader.drift(target, measured) if self._state == "engaged" else ""
        if self._state == "engaged":
            now_ns = self._now_ns()
            self._send(now_ns, self._here(now_ns, measured), target)

    def _on_joy(self, message: Joy) -> None:
        if self._gamepad is None:
            return
        self._heard_s = time.monotonic()
        held = self._gamepad.held(message.buttons)
        if held and not self._wanted:
            self._take_lease()
        elif not held and self._wanted:
            self._let_go("let go")
        self._wanted = held
        measured = self._arm.position_rad
        if self._state != "engaged" or measured is None:
            return
        now_ns = self._now_ns()
        here = self._here(now_ns, measured)
        speed = self._gamepad.speed_rad_s(message.axes, here)
        self._send(now_ns, here, self._gamepad.target(here, measured, speed, _LEAD_NS / 1e9))

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if not request.data:
            self._let_go("let go")
            response.success, response.message = True, self._reason
            return response
        why = self._take_lease()
        response.success, response.message = not why, why or "asked for the lease; see ~/status"
        return response

    def _on_door(self, message: DiagnosticStatus) -> None:
        holder = messages.status_values(message).get("holder", "")
        if self._state != "engaged":
            self._seen_as_holder = False
        elif holder == SOURCE:
            self._seen_as_holder = True
        elif self._seen_as_holder:
            self._to("idle", f"lost the lease: {message.message}")

    # -- the lease -----------------------------------------------------------------------------------------------

    def _take_lease(self) -> str:
        """Ask for the lease; why not, in words."""
        why = self._objection()
        if why:
            self._to("idle", why)
        else:
            self._to("engaging", "")
            self._door.engage(self._on_answer)
        return why

    def _objection(self) -> str:
        measured = self._arm.position_rad
        if self._state != "idle":
            return f"busy: {self._state}"
        if not self._door.ready:
            return "arm_node is not there: start it, and check ROS_DOMAIN_ID"
        if measured is None:
            return "the arm was not measured yet"
        if self._silent():
            return f"nothing comes from {self._mapping.topic}"
        if self._leader is not None and self._target is not None:
            return self._leader.apart(self._target, measured)
        return ""

    def _on_answer(self, accepted: bool, words: str) -> None:
        if self._state != "engaging":
            # Let go meanwhile: a lease that came too late goes back.
            if accepted:
                self._door.release(lambda _accepted, _words: None)
            return
        if not accepted:
            self._to("idle", f"no lease: {words}")
            return
        self._timeline = None
        self._to("engaged", "")

    def _let_go(self, why: str) -> None:
        if self._state == "engaged":
            self._door.send(self._now_ns(), None)
            self._door.release(lambda _accepted, _words: None)
        if self._state != "idle":
            self._to("idle", why)

    def _silent(self) -> bool:
        return self._heard_s is None or time.monotonic() - self._heard_s > self._mapping.max_age_s

    def _here(self, now_ns: int, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the arm is asked for now: where it is, until it was asked for anything."""
        asked = None if self._timeline is None else self._timeline.at(now_ns)
        return measured if asked is None else asked

    def _send(self, now_ns: int, here: NDArray[np.float64], target: NDArray[np.float64]) -> None:
        # It begins now: one that began later would be replaced by the next message before it had begun.
        stamps_ns = now_ns + np.array([0, _LEAD_NS, _LEAD_NS + _HOLD_NS], np.int64)
        self._timeline = Timeline(stamps_ns, np.stack([here, target, target]))
        self._door.send(now_ns, self._timeline)

    # -- what is said --------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        if self._state != "idle" and self._silent():
            self._let_go(f"{self._mapping.topic} fell silent")
            self._wanted = False
            if self._gamepad is not None:
                self._gamepad.forget()
        if time.monotonic() - self._told_s > _STATUS_S:
            self._tell()

    def _to(self, state: str, reason: str) -> None:
        if (state, reason) != (self._state, self._reason) and reason:
            self.get_logger().info(reason)
        self._state, self._reason, self._drift = state, reason, ""
        self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        values = {"state": self._state, "reason": self._reason, "drift": self._drift}
        level = "warn" if self._drift else "ok"
        self._status.publish(messages.status("teleop_node", level, self._drift or self._reason or self._state, values))


def main() -> int:
    """Entry point."""
    return run(TeleopNode)


if __name__ == "__main__":
    raise SystemExit(main())

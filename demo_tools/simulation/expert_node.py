"""scripted_expert_node: the scripted operator as a process, the source `teleop` at the door like any person.

`~/start` begins an episode: take the lease, plan from the newest joint states and cube, send a target each
tick of the contract, keep the last one for a moment, give the lease back. `~/status` tells the state: idle,
engaging, playing, holding, releasing, then done or failed with the reason.
"""

from __future__ import annotations

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from demo_tools.simulation.expert import ScriptedExpert
from demo_tools.simulation.things import CubePose
from learned_arm import cdr
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.ros.node import parameter, run
from learned_arm.timeline import Timeline

SOURCE = "teleop"
_HOLD_TICKS = 5
_DISCOVERY_S = 10.0
_DISCOVERY_POLL_S = 0.01
_ENDS = ("idle", "done", "failed")


class ScriptedExpertNode(Node):
    """One demonstration at a time. Ticks are the joint states stamped on the contract's grid."""

    def __init__(self) -> None:
        super().__init__("scripted_expert_node")
        name = parameter(self, "contract", "pick_cube", "contract (name or YAML path)", read_only=True)
        robot = parameter(self, "robot", "", "another robot file than the contract names", read_only=True)
        seed = parameter(self, "seed", 0, "of the variation between demonstrations", read_only=True)
        self._contract = load_contract(name, robot or None)
        self._expert = ScriptedExpert(self._contract, seed)
        self._order = JointOrder(self._contract.robot.joints)
        self._state, self._reason, self._episode = "idle", "", 0
        self._tick_ns = 0
        self._measured: NDArray[np.float64] | None = None
        self._cube: CubePose | None = None
        self._planned = False
        self._held_ticks = 0
        self._seen_as_holder = False
        self._door = DoorClient(self, self._contract.robot, SOURCE)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        topic = self._contract.robot.joint_states[0].topic
        self.create_subscription(JointState, topic, self._on_joints, qos.newest(), raw=True)
        self.create_subscription(PoseStamped, "/task/objects", self._on_objects, qos.newest(1))
        self.create_subscription(DiagnosticStatus, "/arm_node/status", self._on_door_status, qos.small())
        self._asked_s = 0.0
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._look_around = self.create_timer(_DISCOVERY_POLL_S, self._engage_when_found, clock=steady)
        self._look_around.cancel()
        self.create_service(Trigger, "~/start", self._on_start)

    def _to(self, state: str, reason: str = "") -> None:
        """Change state and say so. Told once: a repeated `done` could be taken for the next episode's."""
        self._state, self._reason = state, reason
        values = {"state": state, "reason": reason, "episode": self._episode}
        level = "error" if state == "failed" else "ok"
        self._status.publish(messages.status("scripted_expert_node", level, reason or state, values))

    # -- the world -------------------------------------------------------------------------------------------

    def _on_joints(self, raw: bytes) -> None:
        stamp_ns = cdr.header_stamp_ns(raw)
        if stamp_ns % self._contract.period_ns or stamp_ns <= self._tick_ns:
            return
        try:
            view = cdr.read_joint_state(raw)
            self._measured = self._order.positions(view.names, view.position)
        except LearnedArmError as error:
            self.get_logger().error(f"joint states refused: {error}", throttle_duration_sec=1.0)
            return
        self._tick_ns = stamp_ns
        self._answer()

    def _on_objects(self, message: PoseStamped) -> None:
        position, turn = message.pose.position, message.pose.orientation
        self._cube = CubePose(
            np.array([position.x, position.y, position.z]), np.array([turn.w, turn.x, turn.y, turn.z])
        )

    def _on_door_status(self, message: DiagnosticStatus) -> None:
        holder = messages.status_values(message).get("holder", "")
        if self._state not in ("playing", "holding"):
            self._seen_as_holder = False
        elif holder == SOURCE:
            self._seen_as_holder = True
        elif self._seen_as_holder:
            self._to("failed", f"lost the lease: {message.message}")

    # -- the episode -----------------------------------------------------------------------------------------

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._state not in _ENDS:
            response.success, response.message = False, f"busy: {self._state}"
            return response
        self._episode += 1
        self._planned, self._held_ticks = False, 0
        self._asked_s = time.monotonic()
        self._to("engaging")
        self._look_around.reset()
        response.success, response.message = True, f"episode {self._episode}"
        return response

    def _engage_when_found(self) -> None:
        """Ask for the lease once door, joints and cube are there: discovery takes a moment."""
        missing = self._missing()
        if not missing:
            self._look_around.cancel()
            self._door.engage(self._on_engaged)
        elif time.monotonic() - self._asked_s > _DISCOVERY_S:
            self._look_around.cancel()
            self._to("failed", f"within {_DISCOVERY_S:.0f} s there was no {missing}")

    def _missing(self) -> str:
        if not self._door.ready:
            return "/arm_node"
        if self._measured is None:
            return f"joint state on {self._contract.robot.joint_states[0].topic}"
        return "" if self._cube is not None else "cube on /task/objects"

    def _on_engaged(self, accepted: bool, words: str) -> None:
        if not accepted:
            self._to("failed", f"no lease: {words}")
            return
        self._to("playing")
        # The door may already be waiting for this tick.
        self._answer()

    def _answer(self) -> None:
        """Send the targets of the newest tick, as long as the lease is held."""
        # A tick that the door has passed is not answered: its first target would be closer than planned, and
        # approached in haste.
        if self._state in ("idle", "engaging", "done", "failed") or self._tick_ns < self._door.first_tick_ns:
            return
        tick_ns, period_ns = self._tick_ns, self._contract.period_ns
        if not self._planned and not self._plan():
            return
        # The second point bridges a late tick in real time; in time, it is replaced before it is in force.
        stamps_ns = np.array([tick_ns + period_ns, tick_ns + 2 * period_ns], dtype=np.int64)
        targets = np.stack([self._expert.step(tick_ns), self._expert.step(tick_ns + period_ns)])
        self._door.send(tick_ns, Timeline(stamps_ns, targets))
        if self._state == "playing" and self._expert.done(tick_ns + period_ns):
            self._to("holding")
        elif self._state == "holding":
            self._held_ticks += 1
            if self._held_ticks >= _HOLD_TICKS:
                self._to("releasing")
                self._door.release(self._on_released)

    def _plan(self) -> bool:
        assert self._measured is not None and self._cube is not None
        try:
            self._expert.start(self._tick_ns, self._measured, self._cube)
        except LearnedArmError as error:
            self._door.send(self._tick_ns, None)
            self._door.release(lambda _accepted, _words: None)
            self._to("failed", str(error))
            return False
        self._planned = True
        return True

    def _on_released(self, accepted: bool, words: str) -> None:
        self._to("done" if accepted else "failed", words)


def main() -> int:
    """Entry point."""
    return run(ScriptedExpertNode)


if __name__ == "__main__":
    raise SystemExit(main())

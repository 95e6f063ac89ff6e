"""sim_arm_node: the simulated arm behind the topics of a real driver.

With `use_sim_time` it runs in lock-step: it publishes a control tick's task topics, images, joint states and
then /clock, and advances once the door has answered for that tick (/arm/sent, and one command on the topic of
every controller whose joints it names). So no tick is ever late, however fast or slow the machine is, and
without a door time stands still. Without `use_sim_time` it keeps real time: physics on a thread of its own,
drawing on another.

Header stamps lie on the multiples of the control period, images on those of the contract's tick. Time never
turns back: in lock-step a reset moves it on to the next whole second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from demo_tools.simulation.commanded import require_answers
from demo_tools.simulation.gripper_server import GripperServer
from demo_tools.simulation.pacing import LockStep, Pace, RealTime
from demo_tools.simulation.world import World
from learned_arm import cdr
from learned_arm.command_spec import Controller, GripperSettings
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import qos
from learned_arm.ros.node import is_lock_step, parameter, run, state_contract

_SECOND_NS = 1_000_000_000
_TOPICS = {
    "forward_position": "/forward_position_controller/commands",
    "forward_velocity": "/forward_velocity_controller/commands",
    "joint_trajectory": "/joint_trajectory_controller/joint_trajectory",
}


class SimArmNode(Node):
    """Commands and resets in; the world's pace does the rest."""

    def __init__(self) -> None:
        super().__init__("sim_arm_node")
        name = parameter(self, "contract", "pick_cube", "contract (name or YAML path)", read_only=True)
        robot = parameter(self, "robot", "", "another robot file than the contract names", read_only=True)
        kinds = f"{', '.join(_TOPICS)}; empty: as the robot file"
        kind = parameter(self, "arm_controller", "", kinds, read_only=True)
        parameter(self, "reset_seed", -1, "initial state that ~/reset goes to; -1: none")
        # An empty list has no type of its own in ROS, hence dynamic typing.
        state = ParameterDescriptor(description="state that ~/reset goes to (/sim/state)", dynamic_typing=True)
        self.declare_parameter("reset_state", [], state)
        parameter(self, "decoy_seed", -1, "from the next ~/reset draw the cube, or pads and cue, of this seed; -1: no")
        contract = load_contract(name, robot or None)
        state_contract(self, contract)
        if is_lock_step(self):
            require_answers(contract.robot)
        self._world = World(self, contract, {"arm": kind} if kind else {})
        self._grippers: list[GripperServer] = []
        for controller in contract.robot.controllers:
            self._subscribe(controller, kind if controller.groups[0] == "arm" else "")
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._reset()
        pace = LockStep if is_lock_step(self) else RealTime
        self._pace: Pace = pace(self, self._world)
        self._pace.begin()

    def close(self) -> None:
        """End the threads and free what drawing holds."""
        self._pace.close()

    def _subscribe(self, controller: Controller, kind: str) -> None:
        if isinstance(controller.command.settings, GripperSettings):
            self._grippers.append(GripperServer(self, controller, self._world))
            return
        group, topic = controller.groups[0], _TOPICS[kind] if kind else controller.command.topic
        adapter = kind or controller.command.adapter
        if adapter == "joint_trajectory":
            self.create_subscription(JointTrajectory, topic, partial(self._on_trajectory, group), qos.small())
            return
        arm = self._world.arm
        take = arm.set_speeds if adapter == "forward_velocity" else arm.set_position_targets
        on_vector = partial(self._on_vector, group, take)
        self.create_subscription(Float64MultiArray, topic, on_vector, qos.small(), raw=True)

    def _on_vector(self, group: str, take: Callable[[str, np.ndarray], bool], raw: bytes) -> None:
        with self._world.lock:
            taken = take(group, cdr.read_float64_array(raw))
        self._commanded(group, taken)

    def _on_trajectory(self, group: str, message: JointTrajectory) -> None:
        points = message.points
        stamp_ns = message.header.stamp.sec * _SECOND_NS + message.header.stamp.nanosec
        times_ns = [each.time_from_start.sec * _SECOND_NS + each.time_from_start.nanosec for each in points]
        positions = _matrix([point.positions for point in points])
        with_velocities = bool(points) and all(len(point.velocities) for point in points)
        velocities = _matrix([point.velocities for point in points]) if with_velocities else None
        names = list(message.joint_names)
        with self._world.lock:
            taken = self._world.arm.set_trajectory(group, names, stamp_ns, times_ns, positions, velocities)
        self._commanded(group, taken)

    def _commanded(self, group: str, taken: bool) -> None:
        if not taken:
            error = self._world.arm.controllers[group].error
            self.get_logger().error(f"{group} controller refused: {error}", throttle_duration_sec=1.0)
        self._pace.commanded(group)

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            with self._world.lock:
                self._reset()
        except LearnedArmError as error:
            response.success, response.message = False, str(error)
            return response
        for gripper in self._grippers:
            gripper.forget()
        self._pace.was_reset()
        response.success, response.message = True, f"reset at {self._world.arm.now_ns} ns"
        return response

    def _reset(self) -> None:
        """Go to the state that the parameters name: `reset_state` before `reset_seed`, else seed 0."""
        seed, state, decoy_seed = (
            self.get_parameter(name).value for name in ("reset_seed", "reset_state", "decoy_seed")
        )
        if not isinstance(seed, int) or not isinstance(decoy_seed, int):
            raise LearnedArmError("seeds must be integers", where="sim_arm_node", got=(seed, decoy_seed))
        try:
            values = np.array([] if state is None else state, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise LearnedArmError("not a simulation state", where="reset_state", got=state) from error
        self._world.reset(seed, np.atleast_1d(values), decoy_seed)


def _matrix(rows: list[object]) -> np.ndarray:
    """Rows as a matrix; rows of unequal lengths give an empty one, which no controller takes."""
    values = [np.asarray(row, dtype=np.float64) for row in rows]
    return np.stack(values) if len({len(row) for row in values}) == 1 else np.empty((len(values), 0))


def main() -> int:
    """Entry point."""
    return run(SimArmNode)


if __name__ == "__main__":
    raise SystemExit(main())

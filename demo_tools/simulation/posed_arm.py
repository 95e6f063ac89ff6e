"""Any robot file with kinematics as a simulated arm: its joints follow its controllers with a lag, without physics.

It says and takes what the robot's own driver does: topics, rates, joint order and controllers are those of its file.
The task is to bring every tool to the point above its cube (`reach_cube`); where those are a seed says, and they can be
reached, since a configuration that reaches them is drawn first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation import posed_scene
from demo_tools.simulation.commanded import CommandedArm, checked_state
from demo_tools.simulation.judge import REACH_ABOVE_M, Judge, Situation
from demo_tools.simulation.things import CubePose, Sight
from demo_tools.simulation.urdf import description_of
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics

Array = NDArray[np.float64]
_TASK = "reach_cube"
_LAG_S = 0.03
# How far a joint of the arm may lie from home at the goal, and how far a tool goes at least.
_GOAL_RAD, _LEAST_WAY_M = 0.35, 0.06
_START_RAD = 0.02
_NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Reach:
    """An initial state: where the joints begin, where they would have reached everything, and the cubes.

    Attributes:
        position_rad: Shape (dof,).
        goal_rad: Shape (dof,).
        cubes_m: Shape (tools, 3).
    """

    position_rad: Array
    goal_rad: Array
    cubes_m: Array


def sample_reach(contract: Contract, seed: int) -> Reach:
    """The initial state that a seed names."""
    robot = contract.robot
    assert robot.kinematics is not None
    forward = ForwardKinematics(robot.kinematics, robot.joints)
    tips = [forward.links.index(tip) for tip in robot.kinematics.tips]
    jaws = posed_scene.jaws_of(robot)
    arm = np.array([joint not in jaws for joint in robot.joints])
    limits, margin = robot.limit("position_rad"), robot.limit("position_margin_rad")
    low, high = limits[:, 0] + margin, limits[:, 1] - margin
    home, rng = np.array(robot.home_rad), np.random.default_rng(seed)

    def near_home(most_rad: float) -> Array:
        return np.clip(home + np.where(arm, rng.uniform(-most_rad, most_rad, robot.dof), 0.0), low, high)

    start = near_home(_START_RAD)
    before = forward.poses(start[None])[0, tips, :3, 3]
    while True:
        goal = near_home(_GOAL_RAD)
        after = forward.poses(goal[None])[0, tips, :3, 3]
        if np.linalg.norm(after - before, axis=1).min() >= _LEAST_WAY_M:
            return Reach(start, goal, after - [0.0, 0.0, REACH_ABOVE_M])


class PosedArm(CommandedArm):
    """Interface and laws as `ArmSimulation`: the same state and commands give the same motion to the bit.

    Raises:
        LearnedArmError: The robot has no kinematics, the task is another one, or a controller is not simulated.
    """

    def __init__(self, contract: Contract, controllers: Mapping[str, str] | None = None) -> None:
        robot = contract.robot
        if robot.kinematics is None:
            raise LearnedArmError("cannot be simulated", where=robot.name, got="no kinematics", allowed="kinematics")
        if contract.task != _TASK:
            raise LearnedArmError("not a task for this arm", where=robot.name, got=contract.task, allowed=_TASK)
        super().__init__(robot, controllers)
        self.contract = contract
        self.judge = Judge(contract.task)
        self.model = posed_scene.build_model(robot, contract.cameras)
        self._forward = ForwardKinematics(robot.kinematics, robot.joints)
        self._tips = [self._forward.links.index(tip) for tip in robot.kinematics.tips]
        self._fastest = robot.limit("velocity_rad_s") * 1.2
        limits = robot.limit("position_rad")
        jaws = posed_scene.jaws_of(robot)
        self._qpos = np.array([self.model.joint(joint).qposadr[0] for joint in self.joints])
        # A jaw is drawn by the share of its stroke.
        jaw = np.array([joint in jaws for joint in self.joints])
        self._drawn_from = np.where(jaw, limits[:, 0], 0.0)
        self._drawn_by = np.where(jaw, posed_scene.JAW_M / (limits[:, 1] - limits[:, 0]), 1.0)
        self._mocap = np.array(
            [self.model.body(posed_scene.cube_name(tool)).mocapid[0] for tool in range(len(self._tips))]
        )
        self.reset(0)

    # -- states ----------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Go to the initial state of a seed, at rest and holding; the clock goes on."""
        start = sample_reach(self.contract, seed)
        self._begin(start.position_rad, start.position_rad, start.cubes_m)

    def state(self) -> Array:
        """Everything that the motion depends on but the time: measured, commanded, cubes."""
        return np.concatenate([self.position_rad, self._asked(), self._cubes_m.ravel()])

    def restore(self, state: Sequence[float] | Array) -> None:
        """Go to a recorded state and hold its commands; the clock goes on.

        Raises:
            LearnedArmError: Wrong length or not finite.
        """
        dof = len(self.joints)
        values = checked_state(state, 2 * dof + 3 * len(self._tips))
        self._begin(values[:dof], values[dof : 2 * dof], values[2 * dof :].reshape(-1, 3))

    def _begin(self, position_rad: Array, commanded_rad: Array, cubes_m: Array) -> None:
        self.position_rad, self.velocity_rad_s = position_rad.copy(), np.zeros(len(self.joints))
        self._cubes_m = cubes_m.copy()
        self._hold(commanded_rad)
        self.judge.reset()

    def step(self, dt_ns: int) -> None:
        """Advance with the commands of now: every joint follows with a servo's lag, and no faster than it can."""
        dt_s = dt_ns / 1e9
        gap = (self._asked() - self.position_rad) * (1.0 - math.exp(-dt_s / _LAG_S))
        moved = np.clip(gap, -self._fastest * dt_s, self._fastest * dt_s)
        self.position_rad, self.velocity_rad_s = self.position_rad + moved, moved / dt_s
        self.now_ns += dt_ns
        self.judge.see(self.now_ns, self._situation())

    # -- what sensors see ------------------------------------------------------------------------------------

    def showing(self, seed: int) -> Callable[[], Sight]:
        """`sight` with the cubes of a seed's initial state."""
        return partial(self.sight, sample_reach(self.contract, seed))

    def sight(self, decoy: Reach | None = None) -> Sight:
        """What the cameras have before them.

        Args:
            decoy: Draw the cubes of this initial state instead.
        """
        cubes_m = self._cubes_m if decoy is None else decoy.cubes_m
        qpos = np.zeros(self.model.nq)
        qpos[self._qpos] = (self.position_rad - self._drawn_from) * self._drawn_by
        mocap_m = np.zeros((self.model.nmocap, 3))
        mocap_m[self._mocap] = cubes_m
        return Sight(qpos, mocap_m, np.tile(_NO_TURN, (self.model.nmocap, 1)))

    @property
    def description(self) -> str:
        """The robot_description: links and joints of the robot file, with its limits."""
        return description_of(self.contract.robot)

    @property
    def cube(self) -> CubePose:
        """Where the first tool's cube is."""
        return CubePose(self._cubes_m[0].copy(), _NO_TURN.copy())

    def _situation(self) -> Situation:
        """That of the tool which is furthest from where it shall be: the task is solved when no tool is."""
        tools = self._forward.poses(self.position_rad[None])[0, self._tips]
        away_m = np.linalg.norm(tools[:, :3, 3] - self._cubes_m - [0.0, 0.0, REACH_ABOVE_M], axis=1)
        worst = int(np.argmax(away_m))
        return Situation(tools[worst], 0.0, self._cubes_m[worst], 0)

"""The simulated arm as an object: commands in, joint states and verdicts out. No ROS, no clock of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation import cue, kinematics, scene
from demo_tools.simulation.commanded import CommandedArm, checked_state
from demo_tools.simulation.controllers import Controller
from demo_tools.simulation.judge import TASKS, Judge, Situation
from demo_tools.simulation.kinematics import ARM_JOINTS
from demo_tools.simulation.mj import mujoco
from demo_tools.simulation.scene import GRIPPER_JOINT
from demo_tools.simulation.things import COLOURED, CubePose, Sight, Start, things_of
from demo_tools.simulation.urdf import robot_description
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

Array = NDArray[np.float64]
SPAWN_CENTRE_M = (0.49, 0.133)
SPAWN_SIZE_M = (0.20, 0.30)
SPAWN_YAW_RAD = np.pi / 4
START_OFFSET_M = 0.05
# On a belt the cube comes from the right, and the hand meets it before the middle.
BELT_CENTRE_M = (0.49, -0.13)
BELT_SPAWN_M = (0.10, 0.08)
SOCKET_SPAWN_M = (0.14, 0.22)
SOCKET_YAW_RAD = np.radians(20.0)
BELT_STARTS_AT_RAD = 2e-3
"""The belt starts when a command is this far from where the episode began: when the hand begins to move."""
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_ON_TABLE_M = scene.CUBE_M / 2
# By kind of things: centre and size of where they lie, the most they are turned, and their height.
_SPAWNS = {
    "cube": (SPAWN_CENTRE_M, SPAWN_SIZE_M, SPAWN_YAW_RAD, _ON_TABLE_M),
    "belt": (BELT_CENTRE_M, BELT_SPAWN_M, SPAWN_YAW_RAD, scene.BELT_TOP_M + _ON_TABLE_M),
    "peg": (SPAWN_CENTRE_M, SOCKET_SPAWN_M, SOCKET_YAW_RAD, scene.SOCKET_TOP_M),
}


def sample_start(contract: Contract, seed: int) -> Start:
    """The initial state that a seed names.

    The cube lies anywhere on 20 x 30 cm with a yaw of +-45 degrees, the tool starts up to 5 cm from home
    along each axis. On a belt the cube lies further back, on 10 x 8 cm. A socket stands anywhere on 14 x 22 cm with a
    yaw of +-20 degrees, and the jaws lie on the peg. Of either the colour varies. For pads and cue see `sample_cue`.
    """
    rng = np.random.default_rng(seed)
    rule = TASKS.get(contract.task)
    kind = "cube" if rule is None else rule.things
    centre_m, size_m, most_yaw_rad, height_m = _SPAWNS.get(kind, _SPAWNS["cube"])
    xy_m = np.add(centre_m, rng.uniform(-0.5, 0.5, 2) * size_m)
    yaw_rad = rng.uniform(-most_yaw_rad, most_yaw_rad)
    position_rad = np.array(contract.robot.home_rad, dtype=np.float64)
    arm = [contract.robot.joints.index(joint) for joint in ARM_JOINTS]
    tool = kinematics.tool0_in_base(position_rad[arm])
    tool[:3, 3] += rng.uniform(-START_OFFSET_M, START_OFFSET_M, 3)
    position_rad[arm] = kinematics.inverse(tool, position_rad[arm])
    if kind == "pads":
        shown = cue.sample_cue(seed)
        return Start(position_rad, CubePose(shown.pads_m[shown.cued].copy(), np.array([1.0, 0.0, 0.0, 0.0])), shown)
    if kind == "peg":
        position_rad[contract.robot.joints.index(GRIPPER_JOINT)] = scene.PEG_HELD_RAD
    quaternion = np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)])
    colour = _vivid(rng) if kind in COLOURED else None
    return Start(position_rad, CubePose(np.array([*xy_m, height_m]), quaternion), colour=colour)


def _vivid(rng: np.random.Generator) -> Array:
    """Any hue, nowhere near the greys of table and robot."""
    return np.array(hsv_to_rgb(rng.uniform(), rng.uniform(0.75, 0.95), rng.uniform(0.6, 0.85)))


@dataclass(frozen=True)
class KeptSimulation:
    """A moment of a simulation: what the physics depends on, the time, and what drives and judges it."""

    physics: Array
    now_ns: int
    held: Array
    others: tuple[dict[str, Controller], Judge]


class ArmSimulation(CommandedArm):
    """A UR5e with a gripper, a table and the things of a task, advanced by `step`.

    Deterministic: the same state and the same commands give bit-equal trajectories. Time only grows, also
        over resets.

    Args:
        contract: Robot and task; the robot must have the UR5e's joints and the gripper's.
        controllers: Kind of controller by the group that owns it; by default the one that the robot's command
            adapter speaks to.

    Raises:
        LearnedArmError: Another robot, an unknown task, camera or controller.
    """

    def __init__(self, contract: Contract, controllers: Mapping[str, str] | None = None) -> None:
        robot = contract.robot
        known = (*ARM_JOINTS, GRIPPER_JOINT)
        if sorted(robot.joints) != sorted(known):
            raise LearnedArmError(
                "not the simulated arm", where=robot.name, got=list(robot.joints), allowed=list(known)
            )
        for name in contract.cameras:
            scene.camera(name)
        super().__init__(robot, controllers)
        self.contract = contract
        self.judge = Judge(contract.task)
        self.model = scene.build_model(self.judge.rule.things)
        self._data = mujoco.MjData(self.model)
        self._things = things_of(self.judge.rule.things, self.model)
        self._index_joints()
        self.reset(0)

    def _index_joints(self) -> None:
        model = self.model
        self._gripper = self.joints.index(GRIPPER_JOINT)
        moved_by = [scene.FINGERS[0] if joint == GRIPPER_JOINT else joint for joint in self.joints]
        self._qpos = np.array([model.joint(name).qposadr[0] for name in moved_by])
        self._qvel = np.array([model.joint(name).dofadr[0] for name in moved_by])
        self._ctrl = np.array([model.actuator(joint).id for joint in self.joints])
        self._arm = np.array([self.joints.index(joint) for joint in ARM_JOINTS])
        self._to_model = np.ones(len(self.joints))
        self._to_model[self._gripper] = scene.finger_m(1.0)
        self._other_finger = int(model.joint(scene.FINGERS[1]).qposadr[0])
        self._fingers = [int(model.joint(name).qposadr[0]) for name in scene.FINGERS]
        self._belt = model.actuator("belt").id if self.judge.rule.things == "belt" else -1
        self._pads = {model.geom(f"{name}_pad").id for name in scene.FINGERS}

    # -- states ----------------------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Go to the initial state of a seed, at rest and holding; the clock goes on."""
        self.place(sample_start(self.contract, seed))

    def place(self, start: Start) -> None:
        """Go to an initial state, at rest and holding; the clock goes on."""
        mujoco.mj_resetData(self.model, self._data)
        self._data.qpos[self._qpos] = start.position_rad * self._to_model
        self._data.qpos[self._other_finger] = self._data.qpos[self._fingers[0]]
        self._things.place(self._data, start)
        self._data.ctrl[self._ctrl] = start.position_rad * self._to_model
        self._begin()

    def put_cube(self, cube: CubePose) -> None:
        """Put the cube or the socket somewhere, at rest; nothing else changes.

        Raises:
            LearnedArmError: The task has none.
        """
        self._things.put(self._data.qpos, self._data.mocap_pos, self._data.mocap_quat, cube)

    def state(self) -> Array:
        """Everything that the physics depends on (mjSTATE_INTEGRATION), without the time."""
        state = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self._data, state, _STATE)
        state[0] = 0.0
        return state

    def restore(self, state: Sequence[float] | Array) -> None:
        """Go to a recorded state and hold its commands; the clock goes on.

        Raises:
            LearnedArmError: Wrong length or not finite.
        """
        values = checked_state(state, mujoco.mj_stateSize(self.model, _STATE))
        values[0] = 0.0
        mujoco.mj_resetData(self.model, self._data)
        mujoco.mj_setState(self.model, self._data, values, _STATE)
        self._begin()

    def keep(self) -> KeptSimulation:
        """Everything as it is now, with controllers, judge and time."""
        physics = np.empty(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self._data, physics, _STATE)
        return KeptSimulation(physics, self.now_ns, self._held, copy.deepcopy((self.controllers, self.judge)))

    def go_back(self, kept: KeptSimulation) -> None:
        """Make everything what it was; the only way in which time runs backward."""
        mujoco.mj_setState(self.model, self._data, kept.physics, _STATE)
        self.now_ns, self._held = kept.now_ns, kept.held
        self.controllers, self.judge = copy.deepcopy(kept.others)

    def _begin(self) -> None:
        commanded = self._held = self._data.ctrl[self._ctrl] / self._to_model
        self._hold(commanded)
        self.judge.reset()

    # -- motion ----------------------------------------------------------------------------------------------

    def _was_commanded(self) -> None:
        self._things.commanded(self._data)

    def step(self, dt_ns: int) -> None:
        """Advance by whole physics steps with the commands of now.

        Raises:
            LearnedArmError: Not a positive multiple of the physics step.
        """
        steps, rest = divmod(dt_ns, scene.PHYSICS_STEP_NS)
        if rest or steps < 1:
            raise LearnedArmError(
                "not whole physics steps", got=dt_ns, allowed=f"multiples of {scene.PHYSICS_STEP_NS} ns"
            )
        command = self._asked()
        self._data.ctrl[self._ctrl] = command * self._to_model
        if self._belt >= 0 and np.abs(command - self._held).max() > BELT_STARTS_AT_RAD:
            # It stays in the state, as every command does, so that a restored episode goes on as it went.
            self._data.ctrl[self._belt] = scene.BELT_M_S
        mujoco.mj_step(self.model, self._data, steps)
        self.now_ns += dt_ns
        self._things.pass_time(self._data, dt_ns)
        self.judge.see(self.now_ns, self._situation())

    # -- what sensors see ------------------------------------------------------------------------------------

    @property
    def position_rad(self) -> Array:
        """Measured joint positions in the robot's order, shape (dof,)."""
        position_rad = self._data.qpos[self._qpos] / self._to_model
        # A gripper reports its stroke; how far its stop gives way under force is the physics' own affair.
        position_rad[self._gripper] = min(max(position_rad[self._gripper], 0.0), scene.GRIPPER_CLOSED_RAD)
        return position_rad

    @property
    def velocity_rad_s(self) -> Array:
        """Measured joint speeds in the robot's order, shape (dof,)."""
        return self._data.qvel[self._qvel] / self._to_model

    def showing(self, seed: int) -> Callable[[], Sight]:
        """`sight` with the things of a seed's initial state."""
        return partial(self.sight, sample_start(self.contract, seed))

    @property
    def description(self) -> str:
        """The robot_description."""
        return robot_description()

    def sight(self, decoy: Start | None = None) -> Sight:
        """What the cameras have before them.

        Args:
            decoy: Draw the things of this initial state instead: an image of another state, with the arm as it is.
        """
        data = self._data
        qpos, mocap_pos, mocap_quat = data.qpos.copy(), data.mocap_pos.copy(), data.mocap_quat.copy()
        if decoy is not None:
            self._things.show(qpos, mocap_pos, mocap_quat, decoy)
        return Sight(qpos, mocap_pos, mocap_quat, self._things.colours(data, decoy))

    @property
    def cube(self) -> CubePose:
        """Where the cube is; in a task with pads, the one that is meant; with a peg, the middle of the socket's top."""
        return self._things.pose(self._data)

    @property
    def tcp(self) -> Array:
        """Frame of the point between the finger pads in base_link, 4 x 4."""
        frame = kinematics.tool0_in_base(self.position_rad[self._arm])
        frame[:3, 3] += scene.TCP_M * frame[:3, 2]
        return frame

    def _situation(self) -> Situation:
        jaw_m = scene.GRIPPER_OPEN_M - float(self._data.qpos[self._fingers].sum())
        pairs = self._data.contact.geom[: self._data.ncon]
        with_thing = pairs[(pairs == self._things.touched).any(axis=1)] if len(pairs) else pairs
        touching = len(self._pads.intersection(with_thing.ravel().tolist()))
        return Situation(self.tcp, jaw_m, self.cube.position_m, touching, self._things.others_m(self._data))

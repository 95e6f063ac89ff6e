"""A scripted operator: plans motions of the tool and turns them into joint targets with mink.

A plan is made once, from the measured joints and the cube (or the pad that is meant, or the socket), and then read tick
by tick: asking twice for a tick gives the same targets. A seed varies it as a hand does: pace, height, detours, and
where exactly the cube is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mink
import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation import scene
from demo_tools.simulation.arm import BELT_STARTS_AT_RAD
from demo_tools.simulation.cue import GO_NS
from demo_tools.simulation.judge import REACH_ABOVE_M, TASKS
from demo_tools.simulation.kinematics import ARM_JOINTS, rotation_z, tool0_in_base
from demo_tools.simulation.mj import Model
from demo_tools.simulation.scene import GRIPPER_JOINT, PEG_HELD_RAD, PEG_TIP_M, TCP_M
from demo_tools.simulation.things import CubePose
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

Array = NDArray[np.float64]
OPEN_RAD = 0.0
GRASP_RAD = 0.6
LIFT_M = 0.12
PEG_SQUEEZED_RAD = PEG_HELD_RAD + 0.06
INSERT_M = 0.03
# Half the way speeding up, half slowing down: of all motions in a given time the one that accelerates least.
# It matters, since targets 50 ms apart are joined by straight lines: a controller at 100 Hz sees five times
# the acceleration at each.
_PEAK_ACCELERATION = 4.0
_LARGEST_ACCELERATION_M_S2 = 0.5
_LARGEST_ANGULAR_ACCELERATION_RAD_S2 = 2.2
_LARGEST_GRIPPER_ACCELERATION_RAD_S2 = 5.0
_SHARE_OF_LIMIT = 0.95
_MOST_ATTEMPTS = 6
_SAME_TIME_S = 0.005
_DOWN = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""Tool pointing down with the jaw opening along base_link's y: the tool's rotation at home."""


@dataclass(frozen=True)
class Waypoint:
    """Where the tool goes next.

    Attributes:
        tcp: Frame of the point between the pads in base_link, 4 x 4.
        gripper_rad: Knuckle angle there.
        least_s: Shortest duration of the way there.
        detour_m: How far the way bends aside in its middle, in base_link, shape (3,).
        carried: Whether a belt carries it along; on the way to the first that is not, the hand comes to rest.
    """

    tcp: Array
    gripper_rad: float
    least_s: float
    detour_m: Array
    carried: bool = True


@dataclass(frozen=True)
class Plan:
    """Joint targets in rad, shape (K, dof): entry k is in force k + 1 periods after the start."""

    targets_rad: Array

    def after(self, ticks: int) -> Array:
        """Targets in force this many ticks after the start (at least one), the last ones for ever."""
        return self.targets_rad[min(max(ticks, 1), len(self.targets_rad)) - 1]


class ScriptedExpert:
    """Operates one episode after the other.

    Args:
        contract: Robot, task and tick rate.
        seed: Of the variation. It is drawn from this and from where the cube lies, so that an episode does
            not depend
            on those before it.

    Raises:
        LearnedArmError: The expert does not know the task.
    """

    def __init__(self, contract: Contract, seed: int = 0) -> None:
        planners = {
            "pick_cube": _pick,
            "pick_moving": _pick,
            "insert_peg": _insert,
            "reach_cube": _reach,
            "reach_cued": _reach_cued,
        }
        if contract.task not in planners:
            raise LearnedArmError(
                "the scripted expert does not know this task", got=contract.task, allowed=list(planners)
            )
        self._waypoints = planners[contract.task]
        self._on_belt = TASKS[contract.task].things == "belt"
        self._period_ns = contract.period_ns
        self._joints = contract.robot.joints
        self._acceleration = contract.robot.limit("acceleration_rad_s2")
        self._control_period_s = contract.robot.control_period_ns / 1e9
        self._seed = seed
        self._ik = _InverseKinematics(contract)
        self._plan: Plan | None = None
        self._start_ns = 0

    def start(self, tick_ns: int, measured_rad: Array, cube: CubePose) -> Plan:
        """Plan an episode that begins at a tick from the measured joints, shape (dof,).

        Raises:
            LearnedArmError: The cube is out of reach.
        """
        arm = np.array([measured_rad[self._joints.index(joint)] for joint in ARM_JOINTS])
        gripper_rad = float(measured_rad[self._joints.index(GRIPPER_JOINT)])
        # A tenth of a millimetre: what a cube at rest creeps must not change the hand.
        place = np.round(cube.position_m * 1e4).astype(np.int64) % 2**32
        rng = np.random.default_rng([self._seed, *place.tolist()])
        waypoints = self._waypoints(_tcp(arm), cube, rng)
        slower, targets, begins_s = 1.0, np.empty((0, 0)), 0.0
        for _ in range(_MOST_ATTEMPTS):
            drift = _Drift(begins_s) if self._on_belt else None
            tcps, grippers = _sampled(_tcp(arm), gripper_rad, waypoints, self._period_ns / 1e9, slower, drift)
            targets = self._ik.follow(arm, tcps, grippers)
            haste = self._haste(measured_rad, targets)
            began_s, begins_s = begins_s, self._moves_after_s(measured_rad, targets)
            if haste <= 1.0 and (drift is None or abs(begins_s - began_s) < _SAME_TIME_S):
                break
            slower *= 1.02 * np.sqrt(haste) if haste > 1.0 else 1.0
        self._plan, self._start_ns = Plan(targets), tick_ns
        return self._plan

    def _moves_after_s(self, measured_rad: Array, targets: Array) -> float:
        """When the belt starts: the targets, joined by lines, are as far from the beginning as it takes."""
        away = np.abs(targets - measured_rad).max(axis=1)
        after = int(np.argmax(away > BELT_STARTS_AT_RAD))
        before = away[after - 1] if after else 0.0
        return float((after + (BELT_STARTS_AT_RAD - before) / (away[after] - before)) * self._period_ns / 1e9)

    def _haste(self, measured_rad: Array, targets: Array) -> float:
        """Largest acceleration of the targets joined by straight lines, against the door's limit."""
        velocity = np.diff(targets, axis=0, prepend=measured_rad[None]) / (self._period_ns / 1e9)
        change = np.abs(np.diff(velocity, axis=0, prepend=0.0, append=0.0)).max(axis=0)
        return float((change / (_SHARE_OF_LIMIT * self._acceleration * self._control_period_s)).max())

    def step(self, tick_ns: int) -> Array:
        """Joint targets in force one period after a tick, rad, shape (dof,)."""
        if self._plan is None:
            raise LearnedArmError("the expert was not started", where="ScriptedExpert.step")
        return self._plan.after((tick_ns - self._start_ns) // self._period_ns + 1)

    def done(self, tick_ns: int) -> bool:
        """Whether the plan ends at this tick or before."""
        return self._plan is not None and (tick_ns - self._start_ns) // self._period_ns >= len(self._plan.targets_rad)


def _pick(start: Array, cube: CubePose, rng: np.random.Generator) -> list[Waypoint]:
    """Above the cube along its yaw, down, close, up."""
    yaw_rad = _cube_yaw(cube) + float(np.clip(rng.normal(0.0, 0.04), -0.08, 0.08))
    aside_m = np.array([*np.clip(rng.normal(0.0, 0.0025, 2), -0.005, 0.005), rng.uniform(-0.003, 0.004)])
    grasp = _tool_down(cube.position_m + aside_m, yaw_rad)
    above = _raised(grasp, rng.uniform(0.055, 0.085))
    lifted = _raised(grasp, LIFT_M)
    pace = rng.uniform(0.92, 1.12, 4)
    return [
        Waypoint(above, OPEN_RAD, 1.05 * pace[0], _detour(rng, 0.006)),
        Waypoint(grasp, OPEN_RAD, 0.75 * pace[1], _detour(rng, 0.002)),
        Waypoint(grasp, GRASP_RAD, 0.70 * pace[2], np.zeros(3)),
        Waypoint(lifted, GRASP_RAD, 0.90 * pace[3], _detour(rng, 0.004), carried=False),
        Waypoint(lifted, GRASP_RAD, 0.30, np.zeros(3), carried=False),
    ]


def _insert(start: Array, socket: CubePose, rng: np.random.Generator) -> list[Waypoint]:
    """Above the socket along its yaw, down until the peg is in, and stay there."""
    yaw_rad = _cube_yaw(socket) + float(np.clip(rng.normal(0.0, 0.01), -0.02, 0.02))
    aside_m = np.array([*np.clip(rng.normal(0.0, 0.0003, 2), -0.0006, 0.0006), rng.uniform(-0.003, 0.003)])
    in_hole = _tool_down(socket.position_m + aside_m, yaw_rad)
    in_hole[2, 3] += PEG_TIP_M - INSERT_M
    above, touching = _raised(in_hole, INSERT_M + rng.uniform(0.030, 0.045)), _raised(in_hole, INSERT_M + 0.006)
    pace = rng.uniform(0.92, 1.12, 3)
    return [
        Waypoint(above, PEG_SQUEEZED_RAD, 1.2 * pace[0], _detour(rng, 0.006)),
        Waypoint(touching, PEG_SQUEEZED_RAD, 0.6 * pace[1], np.zeros(3)),
        Waypoint(in_hole, PEG_SQUEEZED_RAD, 0.9 * pace[2], np.zeros(3)),
        Waypoint(in_hole, PEG_SQUEEZED_RAD, 0.30, np.zeros(3)),
    ]


def _reach(start: Array, cube: CubePose, rng: np.random.Generator) -> list[Waypoint]:
    """To the point above the cube, and stay there."""
    goal = start.copy()
    goal[:3, 3] = cube.position_m + np.array([0.0, 0.0, REACH_ABOVE_M]) + rng.uniform(-0.003, 0.003, 3)
    return [
        Waypoint(goal, OPEN_RAD, 1.5 * rng.uniform(0.92, 1.12), _detour(rng, 0.006)),
        Waypoint(goal, OPEN_RAD, 0.6, np.zeros(3)),
    ]


def _reach_cued(start: Array, pad: CubePose, rng: np.random.Generator) -> list[Waypoint]:
    """Keep still until the lamp has said go and a moment longer, then to the point above the pad, and stay there."""
    reaction_s = rng.uniform(0.05, 0.25)
    still = Waypoint(start, OPEN_RAD, GO_NS / 1e9 + reaction_s, np.zeros(3))
    return [still, *_reach(start, pad, rng)]


def _tcp(arm_rad: Array) -> Array:
    frame = tool0_in_base(arm_rad)
    frame[:3, 3] += TCP_M * frame[:3, 2]
    return frame


def _cube_yaw(cube: CubePose) -> float:
    """Yaw of the cube's nearest side, in [-45, 45] degrees: a cube looks the same after a quarter turn."""
    w, x, y, z = cube.quaternion
    yaw_rad = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return float((yaw_rad + np.pi / 4) % (np.pi / 2) - np.pi / 4)


def _tool_down(position_m: Array, yaw_rad: float) -> Array:
    frame = rotation_z(yaw_rad)
    frame[:3, :3] = frame[:3, :3] @ _DOWN
    frame[:3, 3] = position_m
    return frame


def _raised(frame: Array, height_m: float) -> Array:
    raised = frame.copy()
    raised[2, 3] += height_m
    return raised


def _detour(rng: np.random.Generator, size_m: float) -> Array:
    return np.clip(rng.normal(0.0, size_m, 3), -2 * size_m, 2 * size_m)


@dataclass(frozen=True)
class _Drift:
    """How far a belt that begins at a time has carried things, in base_link, shape (3,)."""

    begins_s: float

    def at(self, now_s: float) -> Array:
        """At a time."""
        return np.array([0.0, scene.BELT_M_S * max(now_s - self.begins_s, 0.0), 0.0])

    def rest(self, from_s: float, to_s: float, now_s: float) -> Array:
        """Of a hand that goes along up to a time and is at rest from another on, slowing down evenly."""
        share = min((now_s - from_s) / (to_s - from_s), 1.0)
        return self.at(from_s) + self.at(self.begins_s + to_s - from_s) * (share - share**2 / 2)


def _sampled(
    tcp: Array, gripper_rad: float, waypoints: list[Waypoint], period_s: float, slower: float, drift: _Drift | None
) -> tuple[Array, Array]:
    """Motions from waypoint to waypoint, sampled once a period.

    With a drift, waypoints are carried along: the hand joins them on its way to the first and stays with them.

    Returns:
        Frames of shape (K, 4, 4) and knuckle angles of shape (K,).
    """
    frames, grippers = [], []
    let_go_s: tuple[float, float] | None = None
    for index, waypoint in enumerate(waypoints):
        turn = mink.SO3.from_matrix(tcp[:3, :3].T @ waypoint.tcp[:3, :3]).log()
        way_m = waypoint.tcp[:3, 3] - tcp[:3, 3]
        shares = _progress(waypoint, way_m, turn, waypoint.gripper_rad - gripper_rad, period_s, slower)
        if not waypoint.carried and let_go_s is None:
            let_go_s = len(frames) * period_s, (len(frames) + len(shares)) * period_s
        for s in shares:
            frame = np.eye(4)
            frame[:3, :3] = tcp[:3, :3] @ mink.SO3.exp(s * turn).as_matrix()
            frame[:3, 3] = tcp[:3, 3] + s * way_m + 16 * s**2 * (1 - s) ** 2 * waypoint.detour_m
            if drift is not None:
                now_s, joined = (len(frames) + 1) * period_s, s if index == 0 else 1.0
                frame[:3, 3] += drift.rest(*let_go_s, now_s) if let_go_s else joined * drift.at(now_s)
            frames.append(frame)
            grippers.append(gripper_rad + s * (waypoint.gripper_rad - gripper_rad))
        tcp, gripper_rad = waypoint.tcp, waypoint.gripper_rad
    return np.array(frames), np.array(grippers)


def _progress(
    waypoint: Waypoint, way_m: Array, turn: Array, gripper_rad: float, period_s: float, slower: float
) -> Array:
    """Share of the way at each period, in (0, 1]: as long as the slowest of hand, wrist and jaw needs."""
    needed_s = [
        np.sqrt(_PEAK_ACCELERATION * np.linalg.norm(way_m) / _LARGEST_ACCELERATION_M_S2),
        np.sqrt(_PEAK_ACCELERATION * np.linalg.norm(turn) / _LARGEST_ANGULAR_ACCELERATION_RAD_S2),
        np.sqrt(_PEAK_ACCELERATION * abs(gripper_rad) / _LARGEST_GRIPPER_ACCELERATION_RAD_S2),
    ]
    count = max(1, int(np.ceil(max(waypoint.least_s, *needed_s) * slower / period_s)))
    u = np.arange(1, count + 1) / count
    return np.where(u < 0.5, 2 * u**2, 1 - 2 * (1 - u) ** 2)


@cache
def _arm_model() -> Model:
    """The scene without a task's things; shared, since it is never written to."""
    return scene.build_model("none")


class _InverseKinematics:
    """Follows frames of the tool with mink, each solution from the one before."""

    def __init__(self, contract: Contract) -> None:
        model = _arm_model()
        self._configuration = mink.Configuration(model)
        self._task = mink.FrameTask("tcp", "site", position_cost=1.0, orientation_cost=0.3)
        self._limits = [mink.ConfigurationLimit(model)]
        self._arm = np.array([model.joint(name).qposadr[0] for name in ARM_JOINTS])
        joints = contract.robot.joints
        self._places = [joints.index(joint) for joint in ARM_JOINTS]
        self._gripper = joints.index(GRIPPER_JOINT)
        low, high = contract.robot.limit("position_rad").T
        self._low, self._high = low, high

    def follow(self, arm_rad: Array, tcps: Array, gripper_rad: Array) -> Array:
        """Joint positions for each frame, shape (K, dof), beginning near `arm_rad`.

        Raises:
            LearnedArmError: A frame is out of reach.
        """
        qpos = np.zeros(self._configuration.model.nq)
        qpos[self._arm] = arm_rad
        self._configuration.update(qpos)
        found = np.empty((len(tcps), len(self._low)))
        for row, tcp, knuckle_rad in zip(found, tcps, gripper_rad, strict=True):
            row[self._places] = self._solve(tcp)
            row[self._gripper] = knuckle_rad
        # A jaw pressed against its stop measures a hair beyond its limit.
        return np.clip(found, self._low, self._high)

    def _solve(self, tcp: Array, tolerance: float = 1e-5, most_steps: int = 30) -> Array:
        self._task.set_target(mink.SE3.from_matrix(tcp))
        for _ in range(most_steps):
            if np.linalg.norm(self._task.compute_error(self._configuration)) < tolerance:
                return self._configuration.q[self._arm].copy()
            velocity = mink.solve_ik(self._configuration, [self._task], 1.0, "daqp", damping=1e-9, limits=self._limits)
            self._configuration.integrate_inplace(velocity, 1.0)
        raise LearnedArmError("tool pose out of reach", where="scripted expert", got=np.round(tcp[:3, 3], 4).tolist())

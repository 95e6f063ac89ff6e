import xml.etree.ElementTree as ET
from dataclasses import replace

import mink
import numpy as np
import pytest

from demo_tools.simulation import kinematics, scene
from demo_tools.simulation.arm import (
    SPAWN_CENTRE_M,
    SPAWN_SIZE_M,
    SPAWN_YAW_RAD,
    ArmSimulation,
    sample_start,
)
from demo_tools.simulation.commanded import FIRST_STAMP_NS
from demo_tools.simulation.mj import mujoco
from demo_tools.simulation.urdf import robot_description
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError

PERIOD_NS = 10_000_000


@pytest.fixture
def arm(pick: Contract) -> ArmSimulation:
    return ArmSimulation(pick)


def drive(arm: ArmSimulation, steps: int, seed: int = 0) -> np.ndarray:
    """Random commands near the start; returns the states it went through."""
    rng = np.random.default_rng(seed)
    start, states = arm.position_rad[:6], []
    for _ in range(steps):
        arm.set_position_targets("arm", start + rng.uniform(-0.05, 0.05, 6))
        arm.set_position_targets("gripper", rng.uniform(0.0, 0.8, 1))
        arm.step(PERIOD_NS)
        states.append(arm.state())
    return np.array(states)


def test_model_and_dh_parameters_agree() -> None:
    model = scene.build_model()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(20):
        position_rad = rng.uniform(-3.0, 3.0, 6)
        for name, value in zip(kinematics.ARM_JOINTS, position_rad, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        frame = kinematics.tool0_in_base(position_rad)
        assert np.allclose(data.site("tool0").xpos, frame[:3, 3], atol=1e-9)
        assert np.allclose(data.site("tool0").xmat.reshape(3, 3), frame[:3, :3], atol=1e-9)


def test_robot_description_has_the_same_kinematics() -> None:
    robot = ET.fromstring(robot_description())
    by_parent = {joint.find("parent").get("link"): joint for joint in robot.iter("joint")}  # type: ignore[union-attr]
    rng = np.random.default_rng(1)
    position_rad = dict(zip(kinematics.ARM_JOINTS, rng.uniform(-3, 3, 6), strict=True))
    frame, link = np.eye(4), "base_link"
    while link != "tool0":
        joint = by_parent[link]
        origin, link = joint.find("origin"), joint.find("child").get("link")  # type: ignore[union-attr]
        place = np.eye(4)
        roll, _, yaw = (float(value) for value in origin.get("rpy").split())  # type: ignore[union-attr]
        place[:3, :3] = (mink.SO3.from_z_radians(yaw) @ mink.SO3.from_x_radians(roll)).as_matrix()
        place[:3, 3] = [float(value) for value in origin.get("xyz").split()]  # type: ignore[union-attr]
        frame = frame @ place @ kinematics.rotation_z(position_rad.get(str(joint.get("name")), 0.0))
    assert np.allclose(frame, kinematics.tool0_in_base(np.array(list(position_rad.values()))), atol=1e-9)
    assert scene.GRIPPER_JOINT in {joint.get("name") for joint in robot.iter("joint")}


def test_same_state_and_commands_give_bit_equal_trajectories(pick: Contract, arm: ArmSimulation) -> None:
    arm.reset(3)
    first = drive(arm, 60)
    other = ArmSimulation(pick)
    other.reset(3)
    assert np.array_equal(first, drive(other, 60))


def test_a_restored_state_goes_on_bit_equal(pick: Contract, arm: ArmSimulation) -> None:
    arm.reset(5)
    drive(arm, 30)
    kept = arm.state()
    first = drive(arm, 30, seed=7)
    other = ArmSimulation(pick)
    other.restore(kept.tolist())
    assert np.array_equal(other.state(), kept)
    assert np.array_equal(first, drive(other, 30, seed=7))


def test_a_restored_arm_holds_what_was_commanded(arm: ArmSimulation) -> None:
    arm.reset(1)
    for _ in range(100):
        arm.step(PERIOD_NS)
    kept, before = arm.state(), arm.position_rad
    arm.reset(2)
    arm.restore(kept)
    for _ in range(50):
        arm.step(PERIOD_NS)
    assert np.allclose(arm.position_rad, before, atol=1e-6)


@pytest.mark.parametrize(("state", "error"), [([0.0] * 3, "wrong length"), (None, "not finite")])
def test_a_wrong_state_is_refused_whole(arm: ArmSimulation, state: list[float] | None, error: str) -> None:
    before = arm.state()
    with pytest.raises(LearnedArmError, match=error):
        arm.restore(np.full_like(before, np.nan) if state is None else state)
    assert np.array_equal(arm.state(), before)


def test_time_only_grows(arm: ArmSimulation) -> None:
    assert arm.now_ns == FIRST_STAMP_NS and FIRST_STAMP_NS % 10**9 == 0
    arm.step(PERIOD_NS)
    state = arm.state()
    for change in (lambda: arm.reset(4), lambda: arm.restore(state)):
        before = arm.now_ns
        change()
        assert arm.now_ns == before
    with pytest.raises(LearnedArmError, match="backward"):
        arm.skip_to(arm.now_ns - 1)
    with pytest.raises(LearnedArmError, match="physics steps"):
        arm.step(PERIOD_NS + 1)


def test_starts_cover_the_area_and_repeat(pick: Contract) -> None:
    home = kinematics.tool0_in_base(np.array(pick.robot.home_rad[:6]))[:3, 3]
    starts = [sample_start(pick, seed) for seed in range(200)]
    places = np.array([start.cube.position_m[:2] for start in starts]) - SPAWN_CENTRE_M
    tools = np.array([kinematics.tool0_in_base(start.position_rad[:6])[:3, 3] for start in starts]) - home
    yaws = np.array([2 * np.arctan2(start.cube.quaternion[3], start.cube.quaternion[0]) for start in starts])
    for values, half in ((places, np.array(SPAWN_SIZE_M) / 2), (tools, 0.05), (yaws, SPAWN_YAW_RAD)):
        assert (np.abs(values) <= half + 1e-6).all()
        assert (np.abs(values).max(axis=0) > 0.9 * half).all()
    assert np.array_equal(sample_start(pick, 7).position_rad, starts[7].position_rad)


def test_wrong_commands_leave_the_last_one(arm: ArmSimulation) -> None:
    held = arm.controllers["arm"].at(arm.now_ns).copy()
    assert not arm.set_position_targets("arm", [0.0] * 7)
    assert not arm.set_position_targets("arm", [np.nan] * 6)
    arm.step(PERIOD_NS)
    assert np.array_equal(arm.controllers["arm"].at(arm.now_ns), held)
    with pytest.raises(LearnedArmError, match="trajectory controller"):
        arm.set_trajectory("arm", arm.joints[:6], 0, [1], [[0.0] * 6])
    with pytest.raises(LearnedArmError, match=r"leg.*arm"):
        arm.set_position_targets("leg", [0.0])


def test_a_trajectory_moves_the_arm(pick: Contract) -> None:
    arm = ArmSimulation(pick, {"arm": "joint_trajectory"})
    goal = arm.position_rad[:6] + 0.1
    assert arm.set_trajectory("arm", arm.joints[:6], 0, [500_000_000], goal[None])
    for _ in range(80):
        arm.step(PERIOD_NS)
    assert np.allclose(arm.position_rad[:6], goal, atol=2e-3)


def test_servos_follow_with_a_small_lag(arm: ArmSimulation) -> None:
    start, worst = arm.position_rad[:6], 0.0
    for step in range(100):
        goal = start + 0.2 * (1 - np.cos(np.pi * step / 100)) / 2
        arm.set_position_targets("arm", goal)
        arm.step(PERIOD_NS)
        worst = max(worst, float(np.abs(arm.position_rad[:6] - goal).max()))
    assert worst < 0.02


def test_the_gripper_opens_and_closes(arm: ArmSimulation) -> None:
    for target in (0.8, 0.0):
        arm.set_position_targets("gripper", [target])
        for _ in range(60):
            arm.step(PERIOD_NS)
        assert arm.position_rad[6] == pytest.approx(target, abs=0.01)


def test_other_robots_cameras_and_controllers_are_refused(pick: Contract) -> None:
    with pytest.raises(LearnedArmError, match="unknown controller"):
        ArmSimulation(pick, {"arm": "magic"})
    with pytest.raises(LearnedArmError, match=r"side.*front"):
        ArmSimulation(replace(pick, cameras={"side": pick.cameras["front"]}))
    gripperless = replace(pick.robot, groups=pick.robot.groups[:1])
    with pytest.raises(LearnedArmError, match="not the simulated arm"):
        ArmSimulation(replace(pick, robot=gripperless))


def test_reach_judge_looks_at_the_tool() -> None:
    arm = ArmSimulation(load_contract("reach_cube"))
    for _ in range(40):
        arm.step(PERIOD_NS)
    assert not arm.judge.ever

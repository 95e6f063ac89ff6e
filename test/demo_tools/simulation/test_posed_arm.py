"""Arms that are posed by their robot files: what moves them, what they say, what is seen of them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from demo_tools.simulation.cameras import CameraRig
from demo_tools.simulation.posed_arm import PosedArm, sample_reach
from demo_tools.simulation.posed_scene import jaws_of
from demo_tools.simulation.publishers import joints_by_topic
from demo_tools.simulation.world import simulated
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics
from learned_arm.robot import load_robot
from learned_arm.robot_description import describe
from test.kinds import ROBOTS, reaching

# Every arm that there is a file of; that of `ur5e_sim` has a simulation of its own.
KINDS = [name for name in ROBOTS if name != "ur5e_sim"]
STEP_NS = 10_000_000


def command(arm: PosedArm, position_rad: np.ndarray) -> None:
    for controller in arm.contract.robot.controllers:
        group, asked = controller.groups[0], position_rad[list(controller.places)]
        if controller.command.adapter == "joint_trajectory":
            assert arm.set_trajectory(group, controller.joints, 0, [STEP_NS], asked[None])
        else:
            assert arm.set_position_targets(group, asked)


def run(arm: PosedArm, seconds: float) -> np.ndarray:
    path = []
    for _ in range(round(seconds * 1e9 / STEP_NS)):
        arm.step(STEP_NS)
        path.append(arm.position_rad)
    return np.array(path)


@pytest.mark.parametrize("name", KINDS)
def test_where_a_seed_puts_the_cubes_every_tool_can_reach_them(name: str) -> None:
    arm = PosedArm(reaching(name))
    for seed in range(5):
        arm.reset(seed)
        run(arm, 0.5)
        assert not arm.judge.now
        command(arm, sample_reach(arm.contract, seed).goal_rad)
        run(arm, 2.0)
        assert arm.judge.now, seed


@pytest.mark.parametrize("name", KINDS)
def test_the_same_state_and_commands_give_the_same_motion_and_speeds_keep_their_limit(name: str) -> None:
    contract = reaching(name)
    arm, other = PosedArm(contract), PosedArm(contract)
    arm.reset(3)
    command(arm, sample_reach(contract, 3).goal_rad)
    run(arm, 0.1)
    other.restore(arm.state())
    goal = np.array(contract.robot.home_rad)
    command(arm, goal)
    command(other, goal)
    path = run(arm, 1.0)
    np.testing.assert_array_equal(path, run(other, 1.0))
    np.testing.assert_array_equal(arm.state(), other.state())
    fastest = np.abs(np.diff(path, axis=0)).max(axis=0) / (STEP_NS / 1e9)
    assert (fastest <= contract.robot.limit("velocity_rad_s") * 1.2 + 1e-9).all()
    for state in ([0.0], np.full_like(arm.state(), np.nan)):
        with pytest.raises(LearnedArmError, match="simulation state"):
            arm.restore(state)


@pytest.mark.parametrize("name", KINDS)
def test_cameras_see_the_cubes_and_the_arm_move(name: str) -> None:
    arm = PosedArm(reaching(name))
    rig = CameraRig(arm)
    first = rig.draw("front", arm.sight())
    np.testing.assert_array_equal(first, rig.draw("front", arm.sight()))
    red = (first[..., 0] > 100) & (first[..., 1:] < 70).all(axis=-1)
    assert red.sum() >= 4
    command(arm, sample_reach(arm.contract, 0).goal_rad)
    run(arm, 2.0)
    assert (rig.draw("front", arm.sight()) != first).any()
    wrist = rig.draw("wrist", arm.sight())
    assert wrist.std() > 5.0
    assert (rig.draw("front", arm.showing(7)()) != rig.draw("front", arm.sight())).any()
    rig.close()


@pytest.mark.parametrize("name", KINDS)
def test_the_robot_description_has_the_joints_and_limits_of_the_robot_file(name: str) -> None:
    robot = load_robot(name)
    found = describe(PosedArm(reaching(name)).description)
    joints = found["kinematics"]["facts"]["joints"]
    assert {joint for joint, each in joints.items() if each["type"] != "fixed"} == set(robot.joints)
    for joint, (low, high) in zip(robot.joints, robot.limit("position_rad"), strict=True):
        assert found["limits"]["facts"][joint]["lower"] == pytest.approx(low)
        assert found["limits"]["facts"][joint]["upper"] == pytest.approx(high)
    children = {each["child"] for each in joints.values()}
    links = {link.get("name") for link in ElementTree.fromstring(PosedArm(reaching(name)).description).iter("link")}
    assert len(links - children) == 1


def test_every_topic_gives_its_own_joints() -> None:
    aloha, fr3 = load_robot("aloha"), load_robot("fr3")
    left, right = joints_by_topic(aloha)
    assert (left[1], right[1]) == (list(range(7)), list(range(7, 14)))
    assert [places for _, places in joints_by_topic(fr3)] == [list(range(7)), [7]]
    assert joints_by_topic(load_robot("so101"))[0][1] == list(range(6))


def test_a_gripper_belongs_to_the_arm_before_it() -> None:
    assert jaws_of(load_robot("aloha")) == {
        "left_left_finger": "follower_left/ee_gripper_link",
        "right_left_finger": "follower_right/ee_gripper_link",
    }
    assert jaws_of(load_robot("ur5e")) == {}


def test_the_task_is_not_solved_by_one_tool_of_two() -> None:
    contract = reaching("aloha")
    arm = PosedArm(contract)
    start = sample_reach(contract, 0)
    half = np.where(np.arange(14) < 7, start.goal_rad, start.position_rad)
    command(arm, half)
    run(arm, 2.0)
    forward = ForwardKinematics(contract.robot.kinematics, contract.robot.joints)  # type: ignore[arg-type]
    tip = forward.poses(arm.position_rad[None])[0, forward.links.index("follower_left/ee_gripper_link"), :3, 3]
    np.testing.assert_allclose(tip - [0, 0, 0.08], start.cubes_m[0], atol=1e-3)
    assert not arm.judge.now


def test_what_cannot_be_simulated_is_refused_in_one_line() -> None:
    content = reaching("xarm7").canonical()
    del content["robot"]["kinematics"]
    with pytest.raises(LearnedArmError, match="no kinematics"):
        simulated(Contract.from_canonical(content))
    content = reaching("ur5e").canonical()
    content["task"] = "pick_cube"
    with pytest.raises(LearnedArmError, match="not a task for this arm"):
        simulated(Contract.from_canonical(content))
    content = reaching("vx300s").canonical()
    content["robot"]["groups"]["gripper"]["command"] = load_robot("vx300s").canonical()["groups"]["gripper"]["command"]
    with pytest.raises(LearnedArmError, match="unknown controller"):
        simulated(Contract.from_canonical(content))

"""Two arms of one kind call their joints alike: with a prefix a topic, each joint is one joint everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from data_recorder.guards import IdleGuard
from data_recorder.initial_state import InitialStateCapture
from learned_arm import cdr
from learned_arm.alignment import JOINTS, AlignedTick, Sample
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
from learned_arm.observation import ObservationBuilder
from learned_arm.robot import load_robot

ALOHA = load_robot("aloha")
TOPICS = [source.topic for source in ALOHA.joint_states]
# The driver tells of more than we want, in its own order, and never of sides.
NAMES = ("gripper", "wrist_rotate", "waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "left_finger")
LEFT = np.linspace(0.01, 0.08, len(NAMES))
RIGHT = LEFT + 1.0
STAMP_NS = 5_000_000_000
STORE = get_typestore(Stores.ROS2_JAZZY)


def contract() -> Contract:
    plain = load_contract("reach_cube").canonical()
    return Contract.from_canonical(
        {**plain, "robot": ALOHA.canonical(), "rate_hz": 10, "action": {**plain["action"], "absolute_groups": []}}
    )


def message(position: np.ndarray, names: tuple[str, ...] = NAMES, stamp_ns: int = STAMP_NS) -> bytes:
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    state = types["sensor_msgs/msg/JointState"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=""),
        name=list(names),
        position=position,
        velocity=np.empty(0),
        effort=np.empty(0),
    )
    return bytes(STORE.serialize_cdr(state, "sensor_msgs/msg/JointState"))


def expected() -> np.ndarray:
    named = {
        f"{side}_{name}": at
        for side, row in (("left", LEFT), ("right", RIGHT))
        for name, at in zip(NAMES, row, strict=True)
    }
    return np.array([named[joint] for joint in ALOHA.joints])


def test_the_door_measures_each_joint_of_either_arm() -> None:
    arm = MeasuredArm(ALOHA)
    arm.take(TOPICS[0], cdr.read_joint_state(message(LEFT)), 0)
    assert arm.position_rad is None
    arm.take(TOPICS[1], cdr.read_joint_state(message(RIGHT)), 0)
    assert arm.position_rad is not None
    np.testing.assert_array_equal(arm.position_rad, expected())


def test_a_joint_that_one_arm_lacks_is_named_with_its_side() -> None:
    arm = MeasuredArm(ALOHA)
    arm.take(TOPICS[1], cdr.read_joint_state(message(RIGHT)), 0)
    with pytest.raises(LearnedArmError, match="missing joint right_waist"):
        arm.take(TOPICS[1], cdr.read_joint_state(message(RIGHT[3:], NAMES[3:])), 1)


def test_a_policy_sees_each_joint_of_either_arm() -> None:
    samples: dict[str, Any] = {
        f"{JOINTS}:{topic}": Sample(STAMP_NS, 0, message(position))
        for topic, position in zip(TOPICS, (LEFT, RIGHT), strict=True)
    }
    measured = ObservationBuilder(contract()).measured(AlignedTick(STAMP_NS, samples))
    np.testing.assert_array_equal(measured, expected())


def test_an_episode_keeps_where_either_arm_began() -> None:
    capture = InitialStateCapture(contract())
    capture.add(TOPICS[0], message(LEFT))
    assert not capture.complete
    capture.add(TOPICS[1], message(RIGHT))
    assert capture.complete


def test_an_episode_is_not_idle_while_one_arm_moves() -> None:
    guard = IdleGuard(ALOHA, 1.0, 5.0)
    guard.begin(0)
    for tick in range(100):
        stamp_ns = STAMP_NS + tick * 100_000_000
        guard.add(TOPICS[0], stamp_ns, stamp_ns, message(LEFT, stamp_ns=stamp_ns))
        guard.add(TOPICS[1], stamp_ns, stamp_ns, message(RIGHT + 0.2 * np.sin(tick), stamp_ns=stamp_ns))
    assert guard.idle_s(stamp_ns) < 1.0

"""The numbers of a policy's state: joints, tools by the robot's kinematics, and wrenches as they came."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from learned_arm.alignment import AlignedTick, Aligner, Sample, stream_names
from learned_arm.cdr_write import joint_state
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics
from learned_arm.observation import ObservationBuilder
from learned_arm.state import TOOL_PARTS, WRENCH_PARTS

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
TOPIC = "/wrist/wrench"
WRENCH = (1.0, -2.0, 3.5, 0.25, -0.5, 0.75)


def contract() -> Contract:
    """Without cameras, so that a tick is numbers alone."""
    content = load_contract("reach_cube").canonical()
    content["observation"]["cameras"] = {}
    content["observation"]["state"]["tools"] = ["tool0", "forearm_link"]
    content["observation"]["wrenches"] = {"wrist": {"topic": TOPIC, "max_age_s": 0.05, "latency_s": 0.01}}
    return Contract.from_canonical(content)


CONTRACT = contract()
ROBOT = CONTRACT.robot
JOINTS_TOPIC = ROBOT.joint_states[0].topic
POSITION = np.array(ROBOT.home_rad) + 0.1


def wrench(*values: float) -> bytes:
    kind = "geometry_msgs/msg/WrenchStamped"
    header = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](0, 0), "tool0_sensor")
    vector = TYPES["geometry_msgs/msg/Vector3"]
    both = TYPES["geometry_msgs/msg/Wrench"](vector(*values[:3]), vector(*values[3:]))
    return bytes(STORE.serialize_cdr(TYPES[kind](header, both), kind))


def tick(values: tuple[float, ...] = WRENCH) -> AlignedTick:
    names = stream_names(CONTRACT)
    raw = {JOINTS_TOPIC: joint_state(0, ROBOT.joints, POSITION), TOPIC: wrench(*values)}
    return AlignedTick(0, {names[topic]: Sample(0, 0, each) for topic, each in raw.items()})


def test_a_state_is_joints_then_tools_by_the_kinematics_then_wrenches() -> None:
    assert ROBOT.kinematics is not None
    state = ObservationBuilder(CONTRACT).build([tick()]).state[0]
    assert len(state) == len(CONTRACT.state_names) == len(set(CONTRACT.state_names))
    named = dict(zip(CONTRACT.state_names, state.tolist(), strict=True))
    assert [named[joint] for joint in ROBOT.joints] == pytest.approx(POSITION)
    assert [named[f"wrist.{part}"] for part in WRENCH_PARTS] == list(WRENCH)
    forward = ForwardKinematics(ROBOT.kinematics, ROBOT.joints)
    poses = forward.poses(POSITION[None])[0]
    for tool in CONTRACT.tools:
        pose = poses[forward.links.index(tool)]
        expected = [*pose[:3, 3], *pose[:3, 0], *pose[:3, 1]]
        assert [named[f"{tool}.{part}"] for part in TOOL_PARTS] == pytest.approx(expected, abs=1e-6)


def test_without_tools_and_wrenches_a_state_is_the_measured_joints_to_the_bit() -> None:
    plain = load_contract("pick_cube")
    assert plain.state_names == plain.robot.joints


def test_a_wrench_is_a_stream_like_any_other() -> None:
    assert TOPIC in CONTRACT.required_topics
    aligner = Aligner(CONTRACT)
    aligner.push(JOINTS_TOPIC, 100_000_000, 0, joint_state(100_000_000, ROBOT.joints, POSITION))
    assert str(aligner.sample(100_000_000)) == "wrench:wrist: no message yet"
    aligner.push(TOPIC, 20_000_000, 0, wrench(*WRENCH))
    assert "wrench:wrist: stale: 70.0 ms old, allowed 50.0 ms" in str(aligner.sample(100_000_000))
    aligner.push(TOPIC, 90_000_001, 0, wrench(*WRENCH))
    # Its latency counts: what is stamped later had not been felt yet.
    assert "stale" in str(aligner.sample(100_000_000))
    aligner.push(TOPIC, 95_000_000, 0, wrench(*WRENCH))
    aligner.push(JOINTS_TOPIC, 104_000_000, 0, joint_state(104_000_000, ROBOT.joints, POSITION))
    found = aligner.sample(105_000_000)
    assert isinstance(found, AlignedTick) and found.stamps_ns["wrench:wrist"] == 95_000_000


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_wrench_that_is_no_number_is_refused(bad: float) -> None:
    builder = ObservationBuilder(CONTRACT)
    with pytest.raises(LearnedArmError, match=r"wrench:wrist: wrench not finite; got \['fz_n'\]"):
        builder.build([tick((0.0, 0.0, bad, 0.0, 0.0, 0.0))])
    builder.build([tick()])


def test_a_robot_without_kinematics_has_no_tools() -> None:
    content = CONTRACT.canonical()
    for key in ("kinematics", "clearance"):
        content["robot"].pop(key, None)
    with pytest.raises(LearnedArmError, match="tools"):
        Contract.from_canonical(content)

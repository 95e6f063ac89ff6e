"""A URDF falls into parts: each change shows in one of them, and hostile XML is one line of error."""

from __future__ import annotations

import time

import pytest

from demo_tools.simulation.urdf import robot_description
from learned_arm.errors import LearnedArmError
from learned_arm.robot_description import PARTS, describe
from learned_arm.xml_text import parse_xml

URDF = """<?xml version="1.0"?>
<robot name="two">
  <material name="grey"><color rgba="0.5 0.5 0.5 1"/></material>
  <link name="base"/>
  <link name="upper"><inertial><mass value="2.0"/></inertial>
    <visual><geometry><mesh filename="upper.dae"/></geometry></visual>
    <collision><geometry><box size="0.1 0.1 0.4"/></geometry></collision></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.1"/><axis xyz="0 0 1"/><dynamics damping="0.5"/>
    <limit lower="-3.14" upper="3.14" velocity="2.0" effort="50"/></joint>
  <ros2_control name="two" type="system">
    <hardware><plugin>two_driver/TwoHardware</plugin><param name="robot_ip">192.0.2.1</param></hardware>
    <joint name="shoulder"><command_interface name="position"/></joint>
  </ros2_control>
  <gazebo reference="upper"><mu1>0.3</mu1></gazebo>
</robot>"""


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('<axis xyz="0 0 1"/>', '<axis xyz="0 1 0"/>', "kinematics"),
        ('<origin xyz="0 0 0.1"/>', "", "kinematics"),
        ('type="revolute"', 'type="continuous"', "kinematics"),
        ('<parent link="base"/><child link="upper"/>', '<parent link="upper"/><child link="base"/>', "kinematics"),
        ('<link name="base"/>', '<link name="base"/><link name="tool"/>', "kinematics"),
        ('velocity="2.0"', 'velocity="2.1"', "limits"),
        ('damping="0.5"', 'damping="0.6"', "dynamics"),
        ('<mass value="2.0"/>', '<mass value="2.1"/>', "dynamics"),
        ("TwoHardware", "ThreeHardware", "ros2_control"),
        ("192.0.2.1", "192.0.2.2", "ros2_control"),
        ('<command_interface name="position"/>', '<command_interface name="velocity"/>', "ros2_control"),
        ("0.1 0.1 0.4", "0.1 0.1 0.5", "collisions"),
        ("upper.dae", "upper.stl", "visuals"),
        ("0.5 0.5 0.5 1", "1 0 0 1", "visuals"),
        ("<mu1>0.3</mu1>", "<mu1>0.4</mu1>", "other"),
    ],
)
def test_a_change_shows_in_exactly_one_part(old: str, new: str, part: str) -> None:
    before, after = describe(URDF), describe(URDF.replace(old, new))
    assert [name for name in PARTS if before[name]["sha256"] != after[name]["sha256"]] == [part]
    assert [name for name in PARTS if before[name]["facts"] != after[name]["facts"]] == [part]


def test_format_and_order_change_the_raw_hash_only() -> None:
    lines = [
        '<link name="base"/>',
        '<link name="base"></link><!-- the pedestal -->',
        'xyz="0 0 0.1"',
        'xyz="0.0  0 1e-1" rpy="-0 0 0"',
    ]
    changed = URDF.replace(lines[0], lines[1]).replace(lines[2], lines[3])
    before, after = describe(URDF), describe(changed)
    assert before["sha256"] != after["sha256"]
    assert all(before[name] == after[name] for name in PARTS)


def test_the_simulated_arm_describes_itself() -> None:
    found = describe(robot_description())
    joints = found["kinematics"]["facts"]["joints"]
    assert joints["elbow_joint"]["type"] == "revolute"
    assert found["limits"]["facts"]["elbow_joint"]["velocity"] > 0


def bomb(levels: int) -> str:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, levels))
    return f'<?xml version="1.0"?><!DOCTYPE robot [<!ENTITY a0 "aaaaaaaaaa">{entities}]><robot>&a{levels - 1};</robot>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(10), "document type"),
        ('<!DOCTYPE robot SYSTEM "file:///etc/passwd"><robot/>', "document type"),
        ("", "not well-formed"),
        ("<robot>", "not well-formed"),
        ("<robot name='\ud800'/>", "not well-formed"),
        ("<robot>\0</robot>", "not well-formed"),
        ('<?xml version="1.0" encoding="none-such"?><robot/>', ""),
        ("<robot/><robot/>", "not well-formed"),
        ("<a>" * 100_000, "too deep"),
        ("<robot>" + "<a/>" * 300_000 + "</robot>", "too long"),
        ("<robot>" + " " * 9_000_000 + "</robot>", "too large"),
        ("<sdf/>", "not a URDF"),
        (URDF.replace('<link name="upper">', '<link name="base">'), "a name twice"),
        (URDF.replace('<joint name="shoulder" type', "<joint type"), "without a name"),
        (URDF.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0 nan"/>'), "not 3 numbers"),
        (URDF.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0"/>'), "not 3 numbers"),
    ],
)
def test_hostile_text_is_one_line_of_error_and_soon(text: str, words: str) -> None:
    begin_s = time.monotonic()
    if words:
        with pytest.raises(LearnedArmError, match=words) as caught:
            describe(text)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
    else:
        # The text is already decoded: what it says about its encoding does not count.
        assert describe(text)["kinematics"]["facts"] == {"links": [], "joints": {}}
    assert time.monotonic() - begin_s < 5.0


def test_bytes_in_an_unknown_encoding_are_refused() -> None:
    with pytest.raises(LearnedArmError, match="not well-formed"):
        parse_xml(b'<?xml version="1.0" encoding="none-such"?><robot/>', "here")

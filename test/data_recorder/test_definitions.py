"""Message definitions as bags carry them."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg

from data_recorder.definitions import schema_text, split_type, type_hash
from learned_arm.errors import LearnedArmError

SEPARATOR = "=" * 80
TYPES = [
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/JointState",
    "std_msgs/msg/Float64MultiArray",
    "trajectory_msgs/msg/JointTrajectory",
    "rcl_interfaces/msg/ParameterEvent",
    "geometry_msgs/msg/PoseStamped",
]


@pytest.mark.ros
@pytest.mark.parametrize("message_type", TYPES)
def test_an_independent_parser_finds_every_type_once(message_type: str) -> None:
    text = schema_text(message_type)
    sections = text.split(f"\n{SEPARATOR}\nMSG: ")
    named = [section.split("\n", 1)[0] for section in sections[1:]]
    assert len(set(named)) == len(named)
    found = get_types_from_msg(text, message_type)
    assert set(found) == {message_type, *(f"{name.split('/')[0]}/msg/{name.split('/')[1]}" for name in named)}


def test_the_form_is_text_line_name_text(tmp_path: Path) -> None:
    for path, text in {
        "alpha_msgs/msg/Top.msg": "# comment about Beta\nHeader header\nInner[3] inner\nuint8 INNER=1\n",
        "alpha_msgs/msg/Inner.msg": "float64[<=5] x\nbeta_msgs/Leaf leaf\n",
        "beta_msgs/msg/Leaf.msg": "string<=10 text\n",
        "std_msgs/msg/Header.msg": "uint32 n\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    text = schema_text("alpha_msgs/msg/Top", [tmp_path])
    assert text.startswith("# comment about Beta\nHeader header\n")
    assert f"\n{SEPARATOR}\nMSG: alpha_msgs/Inner\nfloat64[<=5] x\n" in text
    assert f"\n{SEPARATOR}\nMSG: beta_msgs/Leaf\nstring<=10 text\n" in text
    assert text.count("MSG: ") == 3


def test_unknown_types_are_named() -> None:
    with pytest.raises(LearnedArmError, match="no definition of no_such_msgs/msg/Thing"):
        schema_text("no_such_msgs/msg/Thing")
    for bad in ("Image", "sensor_msgs/Image", "../x/msg/Y", "a/msg/../../B"):
        with pytest.raises(LearnedArmError, match="not a message type"):
            split_type(bad)


@pytest.mark.ros
def test_type_hashes_ship_beside_the_definitions() -> None:
    assert type_hash("std_msgs/msg/String").startswith("RIHS01_df668c74")
    assert type_hash("no_such_msgs/msg/Thing") == ""

"""What an episode is made of."""

from __future__ import annotations

import pytest

from data_recorder.topics import TopicSelection
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError

CONTRACT = load_contract("pick_cube")


def test_the_contract_the_door_and_every_source() -> None:
    existing = [
        "/front/image_raw",
        "/front/camera_info",
        "/wrist/image_raw",
        "/wrist/camera_info",
        "/joint_states",
        "/forward_position_controller/commands",
        "/gripper_position_controller/commands",
        "/arm/requested",
        "/arm/sent",
        "/arm_node/status",
        "/arm/teleop/targets",
        "/arm/policy/targets",
        "/task/success",
        "/sim/state",
        "/robot_description",
        "/tf",
        "/tf_static",
        "/parameter_events",
        "/policy_node/ticks",
        "/policy_node/status",
    ]
    selection = TopicSelection(CONTRACT)
    others = ["/clock", "/rosout", "/arm/a/b/targets", "/arm/targets", "/task/objects"]
    assert selection.wanted(existing + others) == existing
    assert selection.required == ("/front/image_raw", "/wrist/image_raw", "/joint_states")


def test_patterns_add_and_leave_out_but_never_what_the_contract_needs() -> None:
    selection = TopicSelection(CONTRACT, pattern="/ft/.*", exclude="/ft/raw|/front/.*|/tf")
    existing = ["/ft/wrench", "/ft/raw", "/front/image_raw", "/front/camera_info", "/tf", "/left/ft/wrench"]
    assert selection.wanted(existing) == ["/ft/wrench", "/front/image_raw"]


@pytest.mark.parametrize("patterns", [("(", ""), ("", "[")])
def test_a_pattern_that_is_none_is_one_line(patterns: tuple[str, str]) -> None:
    with pytest.raises(LearnedArmError, match="not a regular expression"):
        TopicSelection(CONTRACT, (), *patterns)


def test_extra_topics_are_added_and_checked() -> None:
    assert TopicSelection(CONTRACT, ["", "/tf_static"]).wanted(["/tf_static"]) == ["/tf_static"]
    with pytest.raises(LearnedArmError, match="extra_topics"):
        TopicSelection(CONTRACT, ["relative"])

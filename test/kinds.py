"""Every robot that there is a file of, and contracts for posing as it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from demo_tools.simulation.controllers import CONTROLLERS
from learned_arm.command_spec import ACTIONS
from learned_arm.contract import Contract, load_contract
from learned_arm.robot import load_robot

NO_CONTROL_MSGS = importlib.util.find_spec("control_msgs") is None
WITH_CONTROL_MSGS = pytest.mark.skipif(NO_CONTROL_MSGS, reason="control_msgs is not installed (ros-jazzy-control-msgs)")
WITH_FRANKA_MSGS = pytest.mark.skipif(
    importlib.util.find_spec("franka_msgs") is None, reason="franka_msgs is not installed (franka_ros2 from source)"
)
WITH_INTERBOTIX_MSGS = pytest.mark.skipif(
    importlib.util.find_spec("interbotix_xs_msgs") is None,
    reason="interbotix_xs_msgs is not installed (interbotix_ros_core from source)",
)
ROBOTS = sorted(path.stem for path in (Path(__file__).parents[1] / "learned_arm/config/robots").glob("*.yaml"))


def reaching(name: str) -> Contract:
    """The task of reaching, for a robot.

    What its file commands by messages or actions of packages that are not installed is commanded by vectors here.
    """
    content = load_contract("reach_cube").canonical()
    content["robot"] = robot = load_robot(name).canonical()
    # A tick of the task must be a control tick: 25 Hz divides all their rates.
    content["rate_hz"] = 25
    content["action"]["absolute_groups"] = [group for group in robot["groups"] if "gripper" in group]
    for group, each in robot["groups"].items():
        adapter = each["command"]["adapter"]
        missing = adapter in ACTIONS and NO_CONTROL_MSGS
        if missing or adapter not in ("in_vector", *CONTROLLERS):
            each["command"] = {"adapter": "forward_position", "topic": f"/{group}_controller/commands"}
    return Contract.from_canonical(content)

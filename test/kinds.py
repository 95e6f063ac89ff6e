"""Every robot that there is a file of, and contracts for posing as it."""

from __future__ import annotations

from pathlib import Path

from demo_tools.simulation.controllers import CONTROLLERS
from learned_arm.contract import Contract, load_contract
from learned_arm.robot import load_robot

ROBOTS = sorted(path.stem for path in (Path(__file__).parents[1] / "learned_arm/config/robots").glob("*.yaml"))


def reaching(name: str) -> Contract:
    """The task of reaching, for a robot.

    What its file commands by messages or actions of packages that pip cannot install is commanded by vectors here.
    """
    content = load_contract("reach_cube").canonical()
    content["robot"] = robot = load_robot(name).canonical()
    # A tick of the task must be a control tick: 25 Hz divides all their rates.
    content["rate_hz"] = 25
    content["action"]["absolute_groups"] = [group for group in robot["groups"] if "gripper" in group]
    for group, each in robot["groups"].items():
        if each["command"]["adapter"] not in ("in_vector", *CONTROLLERS):
            each["command"] = {"adapter": "forward_position", "topic": f"/{group}_controller/commands"}
    return Contract.from_canonical(content)

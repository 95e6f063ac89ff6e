"""What a driver says of its arm: heard or not, well or not, told or stopped for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from learned_arm.cdr import JointStateView
from learned_arm.commander import Commander
from learned_arm.door_state import State
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot, parse_robot
from learned_arm.signs import Signs, parse_signs

RUNS = {"topic": "/program_running", "message": "bool", "wanted": True, "stops": True, "says": "start the program"}
SPEED = {"topic": "/speed_scaling", "message": "float64", "least": 99.0, "stops": False, "says": "turn the slider up"}


def signs() -> Signs:
    return Signs(parse_signs([RUNS, SPEED], "here"))


def test_what_was_never_heard_says_nothing() -> None:
    assert (signs().problem, signs().warning) == ("", "")


def test_the_newest_counts_and_says_what_to_do() -> None:
    found = signs()
    found.take("/program_running", False)
    assert found.problem == "start the program (/program_running: false)"
    found.take("/program_running", True)
    assert found.problem == ""


@pytest.mark.parametrize(("value", "well"), [(100.0, True), (99.0, True), (50.0, False), (math.nan, False)])
def test_a_number_is_well_from_its_least_on(value: float, well: bool) -> None:
    found = signs()
    found.take("/speed_scaling", value)
    assert (found.warning == "") is well
    assert found.problem == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([RUNS, RUNS], "two signs on one topic"),
        ([{**RUNS, "message": "text"}], "message"),
        ([{key: RUNS[key] for key in RUNS if key != "wanted"}], "wanted"),
        ([{**SPEED, "wanted": True}], "unknown key"),
        ([{**RUNS, "says": " "}], "says nothing"),
    ],
)
def test_what_is_wrong_is_said(value: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        parse_signs(value, "here")


def test_a_robot_file_keeps_its_signs_and_one_without_has_none() -> None:
    robot = load_robot("ur5e")
    assert [sign.stops for sign in robot.signs] == [True, False]
    assert parse_robot(robot.canonical(), "again") == robot
    assert "signs" not in load_robot("ur5e_sim").canonical()


def test_an_arm_that_does_not_follow_is_moved_by_nobody_and_faults_whoever_moves_it() -> None:
    robot = load_robot("ur5e_sim")
    commander = Commander(robot)
    view = JointStateView(0, robot.joints, np.array(robot.home_rad), np.empty(0), np.empty(0))
    commander.measure(view, 0)
    commander.driver_objects("start the program")
    with pytest.raises(LearnedArmError, match="start the program"):
        commander.engage("policy", 0)
    commander.driver_objects("")
    commander.engage("policy", 0)
    commander.driver_objects("protective stop")
    assert commander.state is State.FAULT
    assert commander.reason == "protective stop"
    assert commander.holder is None
    commander.clear_fault()
    with pytest.raises(LearnedArmError, match="protective stop"):
        commander.engage("policy", 0)

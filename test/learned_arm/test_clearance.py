"""Workspace and self-collision: how much room there is, and that no command takes the arm where there is none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learned_arm.clearance import Clearance, segment_distance
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot, load_robot, parse_robot
from learned_arm.safety import SafetyFilter

POINT = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)
DT_S = 0.01


def flat_arm(low_m: float = -1.9, apart_m: float | None = None, jerk: float = 1e4) -> Robot:
    """Two links of a metre in a plane, the second one's tip watched; and a jaw that places nothing."""
    clearance: dict[str, Any] = {
        "capsules": {
            "upper": {"link": "upper", "from_m": [0, 0, 0], "to_m": [0.4, 0, 0], "radius_m": 0.05},
            "tip": {"link": "lower", "from_m": [0.5, 0, 0], "to_m": [1, 0, 0], "radius_m": 0.05},
        },
        "workspace": {"low_m": [low_m, -3, -1], "high_m": [3, 3, 1], "capsules": ["tip"]},
    }
    if apart_m is not None:
        clearance["self_collision"] = {"distance_m": apart_m, "pairs": [["upper", "tip"]]}
    joints = ["shoulder", "elbow", "jaw"]
    limits = {
        "position_rad": [[-3, 3]] * 3,
        "velocity_rad_s": [2.0] * 3,
        "acceleration_rad_s2": [8.0] * 3,
        "jerk_rad_s3": [jerk] * 3,
        "step_from_measured_rad": [10.0] * 3,
    }
    command = {"adapter": "forward_position", "topic": "/commands"}
    value = {
        "robot": "flat",
        "control_rate_hz": 100,
        "joint_states": [{"topic": "/joint_states", "max_age_s": 0.05}],
        "groups": {"arm": {"joints": joints, "limits": limits, "command": command}},
        "home_rad": {"arm": [0.0, 0.0, 0.0]},
        "kinematics": {
            "base": "base",
            "joints": {
                "shoulder": {"parent": "base", "child": "upper"},
                "elbow": {"parent": "upper", "child": "lower", "xyz_m": [1, 0, 0]},
            },
        },
        "clearance": clearance,
    }
    return parse_robot(value, "flat.yaml")


def room(robot: Robot, position_rad: np.ndarray) -> np.ndarray:
    assert robot.clearance is not None and robot.kinematics is not None
    return Clearance(robot.clearance, robot.kinematics, robot.joints).room_m(position_rad[None])[0]


@given(POINT, POINT, POINT, POINT)
@example(np.array([0.0, 0.0, 1e-8]), np.zeros(3), np.zeros(3), np.zeros(3))
@example(np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1e-3, 0.0]), np.array([1.0, 1e-3 + 1e-7, 0.0]))
def test_the_distance_of_two_segments_is_the_smallest_of_all_their_points(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> None:
    found = float(segment_distance(a, b, c, d))
    shares = np.linspace(0, 1, 101)[:, None]
    tried = np.linalg.norm((a + (b - a) * shares)[:, None] - (c + (d - c) * shares)[None], axis=2).min()
    longest = max(np.linalg.norm(b - a), np.linalg.norm(d - c))
    assert found <= tried + 1e-7 * longest + 1e-9
    assert found >= tried - 0.02 * longest - 1e-9
    assert found == pytest.approx(float(segment_distance(c, d, a, b)), abs=1e-7)


@pytest.mark.parametrize("robot", [flat_arm(apart_m=0.0), load_robot("ur5e_sim")], ids=lambda each: each.name)
def test_no_room_is_lost_faster_than_the_levers_say(robot: Robot) -> None:
    assert robot.clearance is not None and robot.kinematics is not None
    clearance = Clearance(robot.clearance, robot.kinematics, robot.joints)
    rng = np.random.default_rng(0)
    here = rng.uniform(-3.0, 3.0, (2000, robot.dof))
    moved = rng.normal(0.0, 1.0, here.shape) * rng.choice([1e-3, 0.05, 1.0], (2000, 1)) * (rng.random(here.shape) < 0.5)
    lost_m = clearance.room_m(here) - clearance.room_m(here + moved)
    most_m = np.abs(moved) @ clearance.levers_m.T
    assert (lost_m <= most_m + 1e-7).all()
    assert (lost_m > 0.3 * most_m).any()


def test_what_is_remembered_changes_no_answer() -> None:
    robot = load_robot("ur5e_sim")
    assert robot.clearance is not None and robot.kinematics is not None

    def fresh() -> Clearance:
        return Clearance(robot.clearance, robot.kinematics, robot.joints)  # type: ignore[arg-type]

    rng, remembering, answers = np.random.default_rng(1), fresh(), []
    for _ in range(20):
        here = np.array(robot.home_rad) + rng.normal(0.0, 0.6, robot.dof)
        for _ in range(30):
            ahead = here + rng.normal(0.0, 0.03, (3, robot.dof))
            answers.append(remembering.lost(ahead, lambda at=here: at[None]))
            assert answers[-1] == fresh().lost(ahead, lambda at=here: at[None])
            here = ahead[-1]
    assert {(), ("workspace",)} <= set(answers)


def test_room_is_measured_to_the_wall_and_between_surfaces() -> None:
    robot = flat_arm(low_m=-1.5, apart_m=0.1)
    straight = np.zeros(3)
    # Outstretched: the tip's near end is 3 m from the wall behind; upper arm and tip lie 1.5 - 0.4 apart.
    np.testing.assert_allclose(room(robot, straight), [3 - 2 - 0.05, 1.5 - 0.4 - 0.05 - 0.05 - 0.1])
    turned = np.array([np.pi, 0.0, 0.0])
    assert room(robot, turned)[0] == pytest.approx(-2 + 1.5 - 0.05)
    folded = np.array([0.0, np.pi, 0.0])
    assert room(robot, folded)[1] == pytest.approx(-0.05 - 0.05 - 0.1)


@pytest.mark.parametrize("jerk", [1e4, 100.0])
@pytest.mark.parametrize(
    ("low_m", "apart_m", "kind", "goal"),
    [
        (-1.5, None, "workspace", [2.9, 0.0, 0.7]),
        (-1.9, 0.05, "self_collision", [0.0, 2.9, 0.7]),
    ],
)
def test_the_arm_stops_before_there_is_no_room_and_what_places_nothing_goes_on(
    jerk: float, low_m: float, apart_m: float | None, kind: str, goal: list[float]
) -> None:
    robot = flat_arm(low_m, apart_m, jerk)
    safety, clamps = SafetyFilter(robot), set[str]()
    safety.start(np.zeros(3))
    smallest = np.inf
    for _ in range(400):
        result = safety.step(np.array(goal), safety.position_rad, DT_S)
        clamps.update(result.clamps)
        smallest = min(smallest, float(room(robot, result.sent_rad).min()))
    assert kind in clamps and safety.velocity_rad_s[:2].any() == False  # noqa: E712
    assert 0.0 <= smallest < 0.1
    assert result.sent_rad[2] == pytest.approx(0.7)
    # What the filter refuses is the way ahead alone: back it goes.
    for _ in range(400):
        result = safety.step(np.zeros(3), safety.position_rad, DT_S)
    np.testing.assert_allclose(result.sent_rad, 0.0, atol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_no_command_has_less_room_than_none_whatever_is_asked(seed: int) -> None:
    random = np.random.default_rng(seed)
    robot = flat_arm(random.uniform(-1.9, -0.5), random.uniform(0.0, 0.1), 10 ** random.uniform(2, 4))
    safety = SafetyFilter(robot)
    safety.start(np.zeros(3))
    for _ in range(6):
        target = random.uniform(-3, 3, 3)
        for _ in range(40):
            sent = safety.step(target, safety.position_rad, DT_S).sent_rad
            # Between the configurations that are looked at, and where steps differ from the smooth stop, a little is
            # lost: less than the arm moves in two steps.
            assert room(robot, sent).min() >= -2 * 2.0 * DT_S * 2.0


def test_an_arm_that_was_brought_outside_moves_back_and_no_further() -> None:
    robot = flat_arm(low_m=-1.0)
    safety = SafetyFilter(robot)
    outside = np.array([2.8, 0.0, 0.0])
    safety.start(outside)
    assert room(robot, outside).min() < 0
    for _ in range(50):
        safety.step(np.array([2.95, 0.0, 0.0]), safety.position_rad, DT_S)
    np.testing.assert_array_equal(safety.position_rad, outside)
    for _ in range(300):
        safety.step(np.zeros(3), safety.position_rad, DT_S)
    np.testing.assert_allclose(safety.position_rad, 0.0, atol=1e-9)


SHIPPED = load_robot("ur5e_sim").canonical()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("capsules",), {}, "no capsule"),
        (("capsules", "palm", "link"), "elbow", "unknown value; got elbow"),
        (("capsules", "palm", "radius_m"), -0.1, "not a number in range"),
        (("workspace", "high_m"), [0.0, 0.0, -5.0], "not a box"),
        (("workspace", "capsules"), ["tail"], "unknown value; got tail"),
        (("workspace", "high_m"), [0.95, 0.95, 0.3], "home too close"),
        (("self_collision", "pairs"), [["palm", "palm"]], "not a pair"),
        (("self_collision", "distance_m"), 1e9, "not a number in range"),
        (("self_collision", "distance_m"), 2.0, "home too close"),
        (("colour",), "blue", "unknown key"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(path: tuple[str, ...], value: Any, words: str) -> None:
    robot = copy.deepcopy(SHIPPED)
    place: Any = robot["clearance"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(LearnedArmError) as caught:
        parse_robot(robot, "robot.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_to_check_and_no_kinematics_are_refused() -> None:
    robot = copy.deepcopy(SHIPPED)
    del robot["clearance"]["workspace"], robot["clearance"]["self_collision"]
    with pytest.raises(LearnedArmError, match="nothing to check"):
        parse_robot(robot, "robot.yaml")
    robot = copy.deepcopy(SHIPPED)
    del robot["kinematics"]
    with pytest.raises(LearnedArmError, match=r"clearance needs kinematics"):
        parse_robot(robot, "robot.yaml")

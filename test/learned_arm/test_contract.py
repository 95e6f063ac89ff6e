"""A contract is checked whole, names its robot, and comes back from its canonical form as it was."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.canonical import canonical_json
from learned_arm.contract import REPRESENTATIONS, SOURCES, Contract, load_contract
from learned_arm.errors import LearnedArmError

SHIPPED = load_contract("pick_cube").canonical()
FRONT = ("observation", "cameras", "front")
MISSING = object()

# Where, what is put there, and what the error must say.
BAD: dict[str, tuple[tuple[str, ...], Any, tuple[str, ...]]] = {
    "unknown key": (("colour",), 1, ("made: unknown key", "'colour'", "'rate_hz'")),
    "unknown key of a camera": (
        (*FRONT, "exposure"),
        1,
        ("cameras.front: unknown key", "exposure", "max_age_s"),
    ),
    "missing camera topic": ((*FRONT, "topic"), MISSING, ("cameras.front: missing key 'topic'",)),
    "camera topic of another stream": (
        (*FRONT, "topic"),
        "/joint_states",
        ("two streams on one topic", "/joint_states"),
    ),
    "one topic for two cameras": (
        (*FRONT, "topic"),
        "/wrist/image_raw",
        ("two streams on one topic", "/wrist/image_raw"),
    ),
    "size of one number": ((*FRONT, "size"), [96], ("front.size: wrong length", "[96]", "[height, width]")),
    "size of zero": ((*FRONT, "size"), [0, 96], ("front.size[0]: not an integer in range", "got 0")),
    "endless age": (
        (*FRONT, "max_age_s"),
        math.inf,
        ("front.max_age_s: not a number in range", "inf", "60.0]"),
    ),
    "age of NaN": (("observation", "state", "max_age_s"), math.nan, ("state.max_age_s: not a number", "nan")),
    "negative latency": (
        (*FRONT, "latency_s"),
        -0.1,
        ("front.latency_s: not a number in range", "-0.1", "[0.0, 10.0]"),
    ),
    "camera name with a slash": (("observation", "cameras", "a/b"), {}, ("cameras: not a name", "a/b")),
    "some joints": (
        ("observation", "state", "joints"),
        "some",
        ("state.joints: unknown value", "some", "all"),
    ),
    "tool of another robot": (
        ("observation", "state", "tools"),
        ["tail"],
        ("state.tools[0]: unknown value", "tail", "tool0"),
    ),
    "a tool twice": (("observation", "state", "tools"), ["tool0", "tool0"], ("a tool named twice", "tool0")),
    "wrench without an age": (
        ("observation", "wrenches"),
        {"wrist": {"topic": "/wrist/wrench"}},
        ("wrenches.wrist: missing key 'max_age_s'",),
    ),
    "wrench on a camera's topic": (
        ("observation", "wrenches"),
        {"wrist": {"topic": "/front/image_raw", "max_age_s": 0.1}},
        ("two streams on one topic", "/front/image_raw"),
    ),
    "depth without a range": ((*FRONT, "message"), "depth", ("front: missing key 'depth_m'",)),
    "no history": (("observation", "history"), 0, ("observation.history: not an integer in range", "got 0")),
    "unknown representation": (
        ("action", "representation"),
        "torque",
        ("unknown value", "torque", *REPRESENTATIONS),
    ),
    "unknown source": (("action", "source"), "wished", ("action.source: unknown value", "wished", *SOURCES)),
    "unhashable source": (("action", "source"), ["sent"], ("action.source: unknown value", "['sent']")),
    "no horizon": (
        ("action", "horizon"),
        0,
        ("action.horizon: not an integer in range", "got 0", "[1, 1000]"),
    ),
    "negative offset": (("action", "offset_ticks"), -1, ("offset_ticks: not an integer in range", "got -1")),
    "unknown group": (
        ("action", "absolute_groups"),
        ["tail"],
        ("absolute_groups[0]: unknown value", "tail", "gripper"),
    ),
    "faster than control": (("rate_hz",), 101, ("rate_hz: not an integer in range", "got 101", "[1, 100]")),
    "unknown judge": (("success", "judge"), "jury", ("success.judge: unknown value", "jury", "operator")),
    "judge without a topic": (("success", "topic"), MISSING, ("success: missing key 'topic'",)),
    "task with a path": (("task",), "../../etc", ("task: not a name", "../../etc")),
    "task with a line break": (("task",), "a\nb", ("task: not a name",)),
    "contract of the future": (("contract",), 2, ("contract: not an integer in range", "got 2", "[1, 1]")),
    "robot of nothing": (("robot",), None, ("robot: not a text", "non-empty")),
    "robot unknown": (("robot",), "nobody", ("no such entry in robots", "nobody", "ur5e_sim")),
    "robot spoilt": (("robot", "groups", "arm", "joints"), [], ("made.robot.groups.arm.joints: not a list",)),
}


def changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The shipped contract with one entry changed or left out."""
    contract = copy.deepcopy(SHIPPED)
    inner = contract
    for step in path[:-1]:
        inner = inner[step]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return contract


@pytest.mark.parametrize("name", BAD)
def test_every_bad_entry_is_one_line_that_says_what_where_got_and_allowed(name: str) -> None:
    path, value, words = BAD[name]
    with pytest.raises(LearnedArmError) as caught:
        Contract.from_canonical(changed(path, value), "made")
    text = str(caught.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize("name", ["pick_cube", "reach_cube"])
def test_the_canonical_form_gives_the_same_contract_and_hash(name: str) -> None:
    contract = load_contract(name)
    again = Contract.from_canonical(json.loads(canonical_json(contract.canonical())))
    assert again == contract and again.hash == contract.hash
    assert list(again.cameras) == list(contract.cameras) and again.robot.joints == contract.robot.joints


OTHER = [
    (("task",), "pick_sphere"),
    (("rate_hz",), 25),
    ((*FRONT, "topic"), "/side/image_raw"),
    ((*FRONT, "size"), [96, 97]),
    ((*FRONT, "max_age_s"), 0.1000001),
    ((*FRONT, "latency_s"), 1e-9),
    (("observation", "state", "max_age_s"), 0.06),
    (("observation", "state", "tools"), ["tool0"]),
    (("observation", "wrenches"), {"wrist": {"topic": "/wrist/wrench", "max_age_s": 0.1}}),
    (FRONT, {**SHIPPED["observation"]["cameras"]["front"], "message": "depth", "depth_m": [0.1, 1.0]}),
    (("observation", "history"), 2),
    (("action", "source"), "requested"),
    (("action", "representation"), "delta"),
    (("action", "horizon"), 17),
    (("action", "offset_ticks"), 0),
    (("action", "absolute_groups"), []),
    (("success",), {"judge": "operator"}),
    (("robot", "robot"), "ur5e_other"),
    (("robot", "groups", "arm", "limits", "velocity_rad_s"), [3.14, 3.14, 3.14, 3.14, 3.14, 3.15]),
    (("robot", "group_order"), ["gripper", "arm"]),
    (("robot", "driver"), {"package": "a_driver", "launch": "a.launch.py", "install": "ros-jazzy-a-driver"}),
]


@pytest.mark.parametrize(("path", "value"), OTHER, ids=[".".join(path) for path, _ in OTHER])
def test_any_other_value_is_another_hash(path: tuple[str, ...], value: Any) -> None:
    assert Contract.from_canonical(changed(path, value)).hash != Contract.from_canonical(SHIPPED).hash


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_other_data_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(LearnedArmError) as caught:
        Contract.from_canonical(value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_names_its_robot_and_another_may_be_given(tmp_path: Path) -> None:
    robot = {**SHIPPED["robot"], "robot": "twin"}
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(robot))
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({**SHIPPED, "robot": "ur5e_sim"}))
    assert load_contract(path) == load_contract("pick_cube")
    assert load_contract(path, tmp_path / "twin.yaml").robot.name == "twin"
    with pytest.raises(LearnedArmError, match=r"no such entry in contracts; got nothing; allowed: .*'pick_cube'"):
        load_contract("nothing")


def test_ticks_are_whole_nanoseconds() -> None:
    assert load_contract("pick_cube").period_ns == 50_000_000

"""What a change between two snapshots is worth: seeded changes with their severity, and laws that hold for all."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.canonical import canonical_json
from learned_arm.errors import LearnedArmError
from learned_arm.provenance_diff import ABSENT, Row, compare, load_rules, not_compared, worst
from learned_arm.provenance_rules import Severity, parse_rules
from learned_arm.robot_description import describe

_SPEC = importlib.util.spec_from_file_location("snapshots", Path(__file__).with_name("snapshots.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
snapshots: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(snapshots)

RULES = load_rules()
S0, S1, S2, S3 = Severity
Change = Callable[[dict[str, Any]], None]


def put(*path: Any) -> Change:
    """Set the value at a path: the last argument."""

    def change(snapshot: dict[str, Any]) -> None:
        *way, name, value = path
        for each in way:
            snapshot = snapshot[each]
        snapshot[name] = value

    return change


def drop(*path: Any) -> Change:
    def change(snapshot: dict[str, Any]) -> None:
        *way, name = path
        for each in way:
            snapshot = snapshot[each]
        del snapshot[name]

    return change


def parameter(node: str, name: str, value: Any) -> Change:
    return put("parameters", node, "values", name, value)


def urdf(old: str, new: str) -> Change:
    assert snapshots.URDF.count(old) >= 1
    return put("robot_description", describe(snapshots.URDF.replace(old, new)))


def swap_cameras(snapshot: dict[str, Any]) -> None:
    cameras = snapshot["contract_content"]["observation"]["cameras"]
    cameras["front"], cameras["wrist"] = cameras["wrist"], cameras["front"]


def add_node(node: str) -> Change:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["graph"]["nodes"].append(node)
        snapshot["parameters"][node] = {"values": {"frame_rate": 30}}
        listener = snapshots.endpoint(node, "sensor_msgs/msg/JointState")
        snapshot["graph"]["topics"]["/joint_states"]["subscriptions"].append(listener)

    return change


def remove_node(node: str) -> Change:
    def change(snapshot: dict[str, Any]) -> None:
        snapshot["graph"]["nodes"].remove(node)
        del snapshot["parameters"][node]

    return change


def best_effort(snapshot: dict[str, Any]) -> None:
    snapshot["graph"]["topics"]["/front/image_raw"]["publishers"][0]["qos"] = snapshots.qos("best_effort")


GROUP = ("contract_content", "robot", "groups", "arm")
JOINTS = snapshots.snapshot()["contract_content"]["robot"]["groups"]["arm"]["joints"]
LIMITS = snapshots.snapshot()["contract_content"]["robot"]["groups"]["arm"]["limits"]
CONTROLLER = ("controllers", "/controller_manager", "controllers", "forward_position_controller")

SEEDED: dict[str, tuple[Change, Severity | None]] = {
    # What a policy sees and says.
    "joint order of the contract": (put(*GROUP, "joints", JOINTS[::-1]), S3),
    "order of the groups": (put("contract_content", "robot", "group_order", ["gripper", "arm"]), S3),
    "action representation": (put("contract_content", "action", "representation", "absolute"), S3),
    "action source": (put("contract_content", "action", "source", "requested"), S3),
    "cameras swapped in the contract": (swap_cameras, S3),
    "image size of the policy": (put("contract_content", "observation", "cameras", "front", "size", [64, 64]), S3),
    "rate of labels": (put("contract_content", "rate_hz", 10), S3),
    "camera resolution": (put("cameras", "front", "image", "width", 1280), S3),
    "camera encoding": (put("cameras", "front", "image", "encoding", "bgr8"), S3),
    "frame of a camera": (put("cameras", "front", "image", "frame_id", "wrist"), S3),
    "resolution as a camera's parameter": (parameter("/camera_front", "image_width", 1280), S3),
    "URDF axis": (urdf('<axis xyz="0 0 1"/>', '<axis xyz="0 0 -1"/>'), S3),
    "URDF origin": (urdf('xyz="0 0 0.1"', 'xyz="0 0 0.12"'), S3),
    "joints that are measured": (put("joint_names", "/joint_states", "names", ["a", "c"]), S3),
    "joints of a controller": (parameter("/forward_position_controller", "joints", ["b", "a"]), S3),
    # How commands become motion.
    "gain of a controller": (parameter("/forward_position_controller", "gains.a.p", 120.0), S2),
    "unknown parameter of a controller": (parameter("/forward_position_controller", "new_thing", True), S2),
    "parameter of a controller gone": (
        drop("parameters", "/forward_position_controller", "values", "publish_rate"),
        S2,
    ),
    "update rate": (parameter("/controller_manager", "update_rate", 500), S2),
    "controller type": (put(*CONTROLLER, "type", "joint_trajectory_controller/JointTrajectoryController"), S2),
    "controller state": (put(*CONTROLLER, "state", "inactive"), S2),
    "velocity limit of the contract": (put(*GROUP, "limits", "velocity_rad_s", [1.0] * 6), S2),
    "acceleration limit of the contract": (put(*GROUP, "limits", "acceleration_rad_s2", [1.0] * 6), S2),
    "velocity limit of the URDF": (urdf('velocity="2.0"', 'velocity="1.0"'), S2),
    "velocity limit of MoveIt": (
        parameter("/move_group", "robot_description_planning.joint_limits.a.max_velocity", 1.0),
        S2,
    ),
    "kinematics solver": (
        parameter("/move_group", "robot_description_kinematics.arm.kinematics_solver", "trac_ik"),
        S2,
    ),
    "controller library": (
        put("software", "controller_libraries", "lib/libforward_command_controller.so", "e" * 64),
        S2,
    ),
    "controller package": (put("software", "ament_packages", "ros2_controllers", "4.26.0"), S2),
    "scale of teleoperation": (parameter("/teleop_node", "linear_scale", 0.5), S2),
    "gripper force": (parameter("/robotiq_gripper_controller", "max_effort", 60.0), S2),
    "hardware plugin": (urdf("two_driver/TwoHardware", "mock_components/GenericSystem"), S2),
    "mass": (urdf('<mass value="2.0"/>', '<mass value="2.5"/>'), S2),
    "a controller's node gone": (remove_node("/robotiq_gripper_controller"), S2),
    "order of published joints": (put("joint_names", "/joint_states", "order", ["a", "b"]), S2),
    # What asks for a second look.
    "intrinsics beyond tolerance": (put("cameras", "front", "info", "k", [604.0, 0.0, 320.0]), S1),
    "extrinsics beyond tolerance": (put("tf_static", "base_link -> front", "translation_m", [0.5, 0.0, 0.81]), S1),
    "exposure": (parameter("/camera_front", "exposure", 200), S1),
    "parameter of a camera known by its topic": (parameter("/wrist_eye", "gain", 5), S1),
    "QoS of a publisher": (best_effort, S1),
    "profile of the middleware": (
        put("middleware", "profiles", "FASTRTPS_DEFAULT_PROFILES_FILE", "sha256", "f" * 64),
        S1,
    ),
    "another middleware": (put("graph", "rmw", "rmw_cyclonedds_cpp"), S1),
    "kernel": (put("system", "kernel", "6.8.0-generic"), S1),
    "governor": (put("system", "cpu_governor", "powersave"), S1),
    "ONNX Runtime": (put("software", "python_packages", "onnxruntime", "1.23.0"), S1),
    "commit of this package": (put("git", "commit", "e" * 40), S1),
    "commit in the workspace": (put("workspaces", "ur_driver", "dirty_sha256", "e" * 64), S1),
    "collision shape": (urdf("0.1 0.1 0.4", "0.2 0.1 0.4"), S1),
    "an unknown node": (add_node("/mystery"), S1),
    "a node that no longer answers": (put("parameters", "/move_group", {"unreachable": "no answer in 1.5 s"}), S1),
    "a section never asked for": (drop("cameras"), S1),
    # What does not matter.
    "visual mesh": (urdf("upper.dae", "upper.stl"), S0),
    "log level": (parameter("/camera_front", "log_level", "debug"), S0),
    "operator": (parameter("/recorder_node", "operator", "ben"), S0),
    "RViz": (add_node("/rviz2"), S0),
    "version of RViz": (put("software", "ament_packages", "rviz2", "14.2.0"), S0),
    "the recorder gone": (remove_node("/recorder_node"), S0),
    "noise of intrinsics": (put("cameras", "front", "info", "k", [600.2, 0.0, 320.0]), None),
    "noise of extrinsics": (
        put("tf_static", "base_link -> front", "translation_m", [0.50001, 0.0, 0.8]),
        None,
    ),
    "time": (put("stamp_ns", 2), None),
    "format of the URDF": (urdf('xyz="0 0 0.1"', 'xyz="0  0.0 1e-1"'), None),
    "ros2 on the command line": (add_node("/_ros2cli_daemon_0"), None),
    "who leads": (parameter("/arm_node", "source", "policy"), None),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_change_has_its_severity_and_nothing_else_shows(name: str) -> None:
    change, severity = SEEDED[name]
    before, after = snapshots.snapshot(), snapshots.snapshot()
    change(after)
    assert before != after
    rows = compare(before, after, RULES)
    assert {row.severity for row in rows} == ({severity} if severity is not None else set())
    assert all(row.reason for row in rows)
    assert len(rows) <= 2, [row.place for row in rows]


def test_a_row_names_place_old_and_new_value() -> None:
    after = snapshots.snapshot()
    parameter("/forward_position_controller", "gains.a.p", 120.0)(after)
    (row,) = compare(snapshots.snapshot(), after, RULES)
    assert row == Row(
        S2,
        ("parameters", "control", "/forward_position_controller", "gains.a.p"),
        100.0,
        120.0,
        "a parameter of a controller or of hardware",
    )
    assert row.place == "parameters > control > /forward_position_controller > gains.a.p"


def test_a_joint_of_the_urdf_is_named() -> None:
    after = snapshots.snapshot()
    urdf('<axis xyz="0 0 1"/>', '<axis xyz="0 1 0"/>')(after)
    (row,) = compare(snapshots.snapshot(), after, RULES)
    assert row.place == "robot_description > kinematics > joints > shoulder > axis"
    assert (row.before, row.after) == ([0.0, 0.0, 1.0], [0.0, 1.0, 0.0])


def test_the_worst_row_comes_first() -> None:
    after = snapshots.snapshot()
    for name in ("visual mesh", "kernel", "update rate", "URDF axis"):
        SEEDED[name][0](after)
    # Both changes of the URDF in one.
    both = snapshots.URDF.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0 -1"/>').replace("upper.dae", "upper.stl")
    after["robot_description"] = describe(both)
    rows = compare(snapshots.snapshot(), after, RULES)
    assert [row.severity for row in rows] == [S3, S2, S1, S0]
    assert worst(rows) is S3
    assert worst([]) is S0


# -- what a side does not know --------------------------------------------------------------------------------------


def old(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The same robot as the first version of snapshots told it."""
    kept = {name: snapshot[name] for name in ("contract", "git", "middleware", "system", "graph", "stamp_ns")}
    software = {"python": snapshot["software"]["python"], "packages": {"onnxruntime": "1.22.0", "torch": None}}
    return {"version": 1, **kept, "software": software}


def test_an_old_snapshot_misses_sections_and_nothing_more() -> None:
    new = snapshots.snapshot()
    new["software"]["packages"] = {"onnxruntime": "1.22.0", "torch": None}
    rows = compare(old(new), new, RULES)
    assert {row.severity for row in rows} == {S1}
    assert all("not captured" in row.reason for row in rows)
    places = {row.place for row in rows}
    assert {"parameters", "robot_description", "cameras", "software > python_packages"} <= places
    assert all(len(row.path) <= 2 for row in rows)


def test_two_old_snapshots_of_one_robot_are_the_same_and_say_what_they_leave_open() -> None:
    one = old(snapshots.snapshot())
    assert compare(one, copy.deepcopy(one), RULES) == []
    assert {"parameters", "cameras", "contract"} <= set(not_compared(one, one, RULES))


def test_another_contract_shows_where_only_its_hash_is_known() -> None:
    new, changed = old(snapshots.snapshot()), snapshots.snapshot()
    changed["contract"] = "0" * 64
    row = compare(new, changed, RULES)[0]
    assert (row.severity, row.place) == (S3, "contract_hash")


def test_what_neither_side_knows_is_no_change_and_is_said() -> None:
    one, two = snapshots.snapshot(), snapshots.snapshot()
    one["tf_static"] = {"unreachable": "tf2_msgs is not installed"}
    two["tf_static"] = {"unreachable": "tf2_msgs is not installed"}
    assert compare(one, two, RULES) == []
    assert not_compared(one, two, RULES) == {"tf_static": "tf2_msgs is not installed"}


def test_a_parameter_may_be_called_unreachable() -> None:
    one, two = snapshots.snapshot(), snapshots.snapshot()
    parameter("/arm_node", "unreachable", "a")(one)
    parameter("/arm_node", "unreachable", "b")(two)
    (row,) = compare(one, two, RULES)
    assert (row.before, row.after) == ("a", "b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "not a snapshot"),
        ([1], "not a snapshot"),
        ({"version": 3}, "unknown version"),
        ({"version": "1"}, "unknown version"),
        ({"version": 2, "graph": 5}, "not a mapping"),
    ],
)
def test_what_is_no_snapshot_is_refused_in_a_line(value: Any, words: str) -> None:
    with pytest.raises(LearnedArmError, match=words) as caught:
        compare(snapshots.snapshot(), value, RULES)
    assert "\n" not in str(caught.value)


# -- laws -----------------------------------------------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2, allow_nan=False) | st.sampled_from("abc"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "unreachable"]), inner),
    max_leaves=6,
)
SECTIONS = ("software", "git", "system", "controllers", "tf_static", "cameras", "joint_names", "robot_description")
ANY = st.fixed_dictionaries(
    {"version": st.just(2)},
    optional={
        **dict.fromkeys(SECTIONS, PLAIN),
        "graph": st.fixed_dictionaries({"nodes": st.lists(st.sampled_from(["/a", "/b_controller", "/cam"]))}),
        "parameters": st.dictionaries(
            st.sampled_from(["/a", "/b_controller", "/cam"]),
            st.fixed_dictionaries({"values": st.dictionaries(st.sampled_from("pq"), PLAIN)}),
        ),
    },
)


@settings(max_examples=60)
@given(ANY)
def test_nothing_differs_from_itself(one: dict[str, Any]) -> None:
    assert compare(one, json.loads(canonical_json(one)), RULES) == []


@settings(max_examples=60)
@given(ANY, ANY)
def test_the_other_way_round_values_swap_and_severities_stay(one: dict[str, Any], two: dict[str, Any]) -> None:
    forth = compare(one, two, RULES)
    back = compare(two, one, RULES)
    assert [(row.severity, row.path, row.before, row.after) for row in forth] == [
        (row.severity, row.path, row.after, row.before) for row in back
    ]
    assert all(row.before != ABSENT or row.after != ABSENT for row in forth)


# -- the rule file --------------------------------------------------------------------------------------------------

LAST = {"path": "**", "severity": "S1", "reason": "unknown"}


def rule_file(*changes: Any, **more: Any) -> dict[str, Any]:
    return {"rules": 1, "roles": {}, "changes": [*changes, LAST], **more}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (rule_file({"path": "a", "severity": "S4", "reason": "x"}), "unknown value"),
        (rule_file({"path": "a", "severity": "S1"}), "missing key 'reason'"),
        (rule_file({"path": "a", "severity": "S1", "reason": "x", "tolerance": 1}), "unknown key"),
        (rule_file({"path": "a > ", "severity": "S1", "reason": "x"}), "not a path"),
        (rule_file({"path": "a", "severity": "S1", "reason": "x", "absolute": -1.0}), "not a number in range"),
        (rule_file(LAST), "two rules for one path"),
        ({"rules": 1, "roles": {}, "changes": [{**LAST, "path": "a"}]}, "does not match every change"),
        (rule_file(roles={"robot": ["/a"]}), "unknown key"),
        (rule_file(rules=2), "not an integer in range"),
    ],
)
def test_a_wrong_rule_file_is_refused_in_a_line(content: dict[str, Any], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        parse_rules(content, "rules.yaml")


def test_the_first_rule_that_matches_counts() -> None:
    rules = parse_rules(
        rule_file(
            {"path": "git > *", "severity": "S0", "reason": "first"},
            {"path": "git > commit", "severity": "S3", "reason": "second"},
        ),
        "rules.yaml",
    )
    one, two = snapshots.snapshot(), snapshots.snapshot()
    put("git", "commit", "f" * 40)(two)
    assert [(row.severity, row.reason) for row in compare(one, two, rules)] == [(S0, "first")]


def test_own_rules_are_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(rule_file()))
    assert load_rules(path).rules[-1].reason == "unknown"

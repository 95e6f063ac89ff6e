"""Controllers, hardware, the robot description and the door, as a snapshot tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bring_up.descriptions import urdf
from demo_tools.doctor import control
from demo_tools.doctor.findings import Finding, as_json, exit_status, report
from demo_tools.doctor.subject import asked, bare_contract
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot
from learned_arm.robot_description import describe

ROBOT = load_robot("ur5e")
CONTRACT = bare_contract(ROBOT)
FORWARD, SCALED = "forward_position_controller", "scaled_joint_trajectory_controller"
MANAGER = "/controller_manager"


def snapshot(**changes: Any) -> dict[str, Any]:
    """Of a UR5e on which all is well."""
    states = {FORWARD: {"state": "active"}, SCALED: {"state": "inactive"}}
    hardware = {"ur5e": {"state": {"id": 3, "label": "active"}}}
    found = {
        "graph": {"rmw": "rmw_fastrtps_cpp", "nodes": [control.DOOR], "topics": {}},
        "parameters": {control.DOOR: {"values": {"contract_hash": CONTRACT.hash, "use_sim_time": False}}},
        "controllers": {MANAGER: {"controllers": states}},
        "hardware": {MANAGER: hardware},
        "robot_description": describe(urdf(CONTRACT)),
    }
    return found | changes


def controllers(**states: str) -> dict[str, Any]:
    named = {name: {"state": state} for name, state in states.items()}
    return snapshot(controllers={MANAGER: {"controllers": named}})


def everything(found: dict[str, Any], contract_hash: str = CONTRACT.hash, **status: str) -> list[Finding]:
    return [
        *control.check_time(found),
        *control.check_controllers(ROBOT, found),
        *control.check_description(ROBOT, found),
        *control.check_door(ROBOT, contract_hash, found, status),
    ]


def faults(findings: list[Finding]) -> dict[str, str]:
    return {each.check: each.where for each in findings if each.level != "ok"}


def test_a_robot_on_which_all_is_well_has_no_fault() -> None:
    found = everything(snapshot(), state="ready", measured="True", driver="")
    assert faults(found) == {}
    assert exit_status(found) == 0


@pytest.mark.parametrize(
    ("found", "check", "where"),
    [
        (controllers(**{FORWARD: "inactive"}), "controllers.active", FORWARD),
        (controllers(**{SCALED: "inactive"}), "controllers.active", FORWARD),
        (controllers(**{FORWARD: "active", SCALED: "active"}), "controllers.in_the_way", SCALED),
        (snapshot(controllers={}), "controllers.manager", MANAGER),
        (snapshot(controllers={MANAGER: {"unreachable": "no answer"}}), "controllers.manager", MANAGER),
        (
            snapshot(hardware={MANAGER: {"ur5e": {"state": {"label": "inactive"}}}}),
            "controllers.hardware",
            "ur5e",
        ),
        (snapshot(robot_description={"unreachable": "no publisher"}), "description.topic", control.DESCRIPTION),
        (
            snapshot(robot_description=describe(urdf(CONTRACT, narrow="elbow_joint"))),
            "description.limits",
            "elbow_joint",
        ),
        (
            snapshot(robot_description=describe(urdf(CONTRACT, without="elbow_joint"))),
            "description.joint",
            "elbow_joint",
        ),
        (
            snapshot(robot_description=describe(urdf(CONTRACT, bent="elbow_joint"))),
            "description.links",
            "forearm_link",
        ),
        (
            snapshot(graph={"rmw": "", "nodes": [control.DOOR] * 2, "topics": {}}),
            "door.node",
            control.DOOR,
        ),
        (snapshot(graph={"rmw": "", "nodes": [], "topics": {}}), "door.node", control.DOOR),
        (snapshot(parameters={"/driver": {"values": {"use_sim_time": True}}}), "time.clock", "/driver"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_to_do(found: dict[str, Any], check: str, where: str) -> None:
    said = everything(found)
    assert faults(said) == {check: where}
    assert all(each.todo for each in said if each.level != "ok")


def test_a_door_that_cannot_move_the_arm_says_why() -> None:
    assert faults(everything(snapshot(), "0" * 64)) == {"door.contract": control.DOOR}
    latched = everything(snapshot(), state="fault", text="joint states silent")
    assert faults(latched) == {"door.fault": control.DOOR}
    assert "joint states silent" in report(latched)
    assert faults(everything(snapshot(), driver="protective stop")) == {"door.driver": control.DOOR}
    assert faults(everything(snapshot(), measured="False")) == {"door.measured": control.DOOR}
    # Whoever names a robot only does not mind which task it is.
    assert faults(everything(snapshot(), "")) == {}


def test_a_clock_that_nobody_goes_by_is_told() -> None:
    publishers = {"/clock": {"publishers": [{"node": "/bag_player"}], "subscriptions": []}}
    found = snapshot(graph={"rmw": "", "nodes": [], "topics": publishers})
    assert faults(control.check_time(found)) == {"time.clock": "/clock"}


def test_mock_hardware_is_told() -> None:
    block = '<ros2_control name="ur" type="system"><hardware><plugin>mock_components/GenericSystem</plugin></hardware>'
    text = urdf(CONTRACT).replace("</robot>", f"{block}</ros2_control></robot>")
    assert faults(everything(snapshot(robot_description=describe(text)))) == {"description.mock": "ur"}


def test_the_worst_comes_first_and_each_says_what_to_do() -> None:
    found = [
        Finding("time.clock", "ok", "here", "well"),
        Finding("camera.size", "warn", "there", "odd", "look"),
        Finding("door.fault", "fail", "everywhere", "broken", "mend it"),
    ]
    lines = report(found).splitlines()
    assert [line.split()[0] for line in lines] == ["fail", "->", "warn", "->", "ok", "1"]
    assert lines[-1] == "1 fail, 1 warn, 1 ok"
    assert '"todo": "mend it"' in as_json(found)
    assert exit_status(found) == 1
    assert exit_status(found[:2]) == 0


def test_it_is_asked_for_as_launch_files_are() -> None:
    contract, bare = asked(["robot:=ur5e"])
    assert bare
    assert contract.robot == ROBOT
    # It is a contract like any other, so that a snapshot can hold it.
    assert Contract.from_canonical(contract.canonical()) == contract
    contract, bare = asked(["contract:=pick_cube"])
    assert not bare
    assert contract.task == "pick_cube"
    for wrong in ([], ["ur5e"], ["robot:="], ["robot:=ur5e", "contract:=pick_cube"]):
        with pytest.raises(LearnedArmError, match="nothing to examine by"):
            asked(wrong)

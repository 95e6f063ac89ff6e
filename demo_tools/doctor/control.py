"""Checks of those who take commands: controllers, hardware, the door, and whoever else would move the arm."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from demo_tools.doctor.findings import Finding, fine
from learned_arm.bring_up import ACTIVE
from learned_arm.command_spec import ACTIONS, Controller
from learned_arm.described_arm import described_kinematics, farthest_apart
from learned_arm.door_state import LATCHED
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

DOOR = "/arm_node"
DESCRIPTION = "/robot_description"
_MOCK = "mock_components"
_LATCHED = {state.value for state in LATCHED}
_TOLERANCE = 1e-3
# Closer than any arm comes back to; a calibration moves a tool by millimetres, another arm by more.
_SAME_M, _SAME_RAD, _ALIKE_M = 1e-4, 1e-4, 0.02


def check_commands(robot: Robot, graph: Mapping[str, Any], services: Collection[str]) -> list[Finding]:
    """Where commands go: somebody listens, and nobody commands beside the door."""
    found: list[Finding] = []
    for controller in robot.controllers:
        if controller.command.adapter in ACTIONS:
            found += _action(controller, services)
        else:
            found += _topic(robot, controller, graph)
    return found


def check_controllers(robot: Robot, snapshot: Mapping[str, Any]) -> list[Finding]:
    """Controllers and hardware, as the controller manager tells."""
    switch = None if robot.driver is None else robot.driver.controllers
    if switch is None:
        return []
    told = snapshot["controllers"].get(switch.manager)
    if told is None:
        todo = "start the driver: every arm of ros2_control has a controller manager"
        return [Finding("controllers.manager", "fail", switch.manager, "not there", todo)]
    if "unreachable" in told:
        todo = "sudo apt install ros-jazzy-controller-manager-msgs, or look at the manager's log"
        return [Finding("controllers.manager", "warn", switch.manager, told["unreachable"], todo)]
    states = {name: each.get("state", "") for name, each in told["controllers"].items()}
    run = f"ros2 run learned_arm switch_controllers --ros-args -p robot:={robot.name}"
    found = []
    for name in switch.activate:
        state = states.get(name, "not loaded")
        if state == ACTIVE:
            found.append(fine("controllers.active", name, state))
        else:
            found.append(Finding("controllers.active", "fail", name, state, run))
    for name in switch.deactivate:
        if states.get(name) == ACTIVE:
            seen = "active: it holds the joints that are to be commanded"
            found.append(Finding("controllers.in_the_way", "fail", name, seen, run))
    return [*found, *_hardware(switch.manager, snapshot)]


def check_description(robot: Robot, snapshot: Mapping[str, Any]) -> list[Finding]:
    """Our limits against those of the robot description that the driver runs with."""
    told = snapshot["robot_description"]
    if "unreachable" in told:
        todo = "start robot_state_publisher; without it nobody knows which robot an episode was recorded on"
        return [Finding("description.topic", "warn", DESCRIPTION, told["unreachable"], todo)]
    joints, limits = told["kinematics"]["facts"]["joints"], told["limits"]["facts"]
    found = []
    for joint, (low, high), speed in zip(
        robot.joints, robot.limit("position_rad"), robot.limit("velocity_rad_s"), strict=True
    ):
        if joint not in joints:
            todo = "the robot file is of another robot, or a prefix is missing in one of them"
            found.append(Finding("description.joint", "fail", joint, "not in the robot description", todo))
            continue
        theirs = limits.get(joint, {})
        wide = [
            f"{words} {ours:.3f}, the driver's is {theirs[key]:.3f}"
            for words, key, ours, over in (
                ("lowest position", "lower", low, lambda ours, driver: ours < driver),
                ("highest position", "upper", high, lambda ours, driver: ours > driver),
                ("velocity", "velocity", speed, lambda ours, driver: ours > driver),
            )
            if isinstance(theirs.get(key), float)
            and joints[joint]["type"] != "continuous"
            and over(ours, theirs[key])
            and abs(ours - theirs[key]) > _TOLERANCE
        ]
        if wide:
            todo = "lower it in the robot file: what the driver cuts off is not what the labels say"
            found.append(Finding("description.limits", "fail", joint, "; ".join(wide), todo))
    if not found:
        found.append(fine("description.limits", DESCRIPTION, "our limits lie inside the driver's"))
    if all(joint in joints for joint in robot.joints):
        found += _links(robot, joints)
    mocks = [name for name, block in told["ros2_control"]["facts"].items() if _MOCK in block["plugin"]]
    if mocks:
        todo = "for the arm itself start the driver with mock:=false"
        found.append(Finding("description.mock", "warn", ", ".join(mocks), "no hardware is behind it", todo))
    return found


def check_door(
    robot: Robot, contract_hash: str, snapshot: Mapping[str, Any], status: Mapping[str, str]
) -> list[Finding]:
    """The node through which everything moves the arm: there, of this contract, measuring, without a fault."""
    nodes = snapshot["graph"]["nodes"]
    if DOOR not in nodes:
        todo = f"ros2 launch learned_arm real_arm.launch.py robot:={robot.name}"
        return [Finding("door.node", "warn", DOOR, "not running: nothing can move the arm yet", todo)]
    if nodes.count(DOOR) > 1:
        todo = "stop all but one: two of them command the arm in turns"
        return [Finding("door.node", "fail", DOOR, f"{nodes.count(DOOR)} of it are running", todo)]
    found = [fine("door.node", DOOR, status.get("state", "running"))]
    values = snapshot["parameters"].get(DOOR, {}).get("values", {})
    served = values.get("contract_hash")
    if contract_hash and served and served != contract_hash:
        todo = "start it with this contract, or examine the one that it serves"
        found.append(Finding("door.contract", "fail", DOOR, f"serves {served[:12]}, not {contract_hash[:12]}", todo))
    if status.get("measured") == "False":
        todo = "look at the joint states above"
        found.append(Finding("door.measured", "fail", DOOR, "has not measured the arm", todo))
    if status.get("state") in _LATCHED:
        todo = "mend the cause, then: ros2 service call /arm_node/clear_fault std_srvs/srv/Trigger"
        found.append(Finding("door.fault", "fail", DOOR, f"{status['state']}: {status.get('text', '')}", todo))
    if status.get("driver"):
        todo = "the arm's own software says so; until it is mended, what is commanded is not what is done"
        found.append(Finding("door.driver", "fail", DOOR, status["driver"], todo))
    return found


def check_time(snapshot: Mapping[str, Any]) -> list[Finding]:
    """One clock for everybody."""
    graph = snapshot["graph"]
    ticking = bool(graph["topics"].get("/clock", {"publishers": []})["publishers"])
    uses = {
        name: bool(told["values"].get("use_sim_time"))
        for name, told in snapshot["parameters"].items()
        if "use_sim_time" in told.get("values", {})
    }
    simulated = sorted(name for name, value in uses.items() if value)
    if simulated and not ticking:
        todo = "start them with use_sim_time:=false: on a real arm their time stands still"
        return [Finding("time.clock", "fail", ", ".join(simulated), "wait for /clock, which nobody publishes", todo)]
    if ticking and not simulated:
        seen = "/clock is published, and no node goes by it"
        return [Finding("time.clock", "warn", "/clock", seen, "stop the simulation or the bag that is playing")]
    return [fine("time.clock", "/clock" if ticking else "system clock", "one for all")]


def check_transport(problems: list[str], rmw: str) -> list[Finding]:
    """The middleware of this machine, with its profile and shared memory."""
    found = []
    for each in problems:
        seen, _, todo = each.rpartition("; ")
        # Launch files set it for what they start; a driver that was started otherwise may do without.
        level = "warn" if "is not set" in seen else "fail"
        found.append(Finding("transport.memory", level, "this machine", seen, todo))
    if "fastrtps" not in rmw:
        todo = "export RMW_IMPLEMENTATION=rmw_fastrtps_cpp: pictures through shared memory are proved with that only"
        found.append(Finding("transport.rmw", "warn", "this process", rmw, todo))
    return found or [fine("transport.memory", "this machine", "profile and shared memory are as they should be")]


def _links(robot: Robot, described: Mapping[str, Any]) -> list[Finding]:
    """The links of the robot file against the driver's: a calibrated arm differs from its data sheet."""
    ours = robot.kinematics
    if ours is None:
        return []
    places = [joint.name for joint in ours.joints if joint.kind != "fixed"]
    told = {each["child"] for each in described.values()}
    tools = [tip for tip in ours.tips if tip in told]
    try:
        theirs = described_kinematics(described, places, tools, ours.base)
    except LearnedArmError as error:
        todo = "compare base, joints and links of the robot file's `kinematics` with the driver's"
        return [Finding("description.links", "warn", DESCRIPTION, str(error), todo)]
    low, high = robot.limit("position_rad").T
    away_m, angle_rad, link = farthest_apart(ours, theirs, robot.joints, low, high)
    if away_m <= _SAME_M and angle_rad <= _SAME_RAD:
        return [fine("description.links", DESCRIPTION, "they are where the robot file has them")]
    seen = f"up to {1e3 * away_m:.1f} mm from where the robot file has it; links turned by up to {angle_rad:.4f} rad"
    asked = f"live --robot {robot.name} --base {ours.base} --tools {' '.join(tools)}"
    todo = f"learned-arm kinematics {asked} prints the section for the robot file"
    return [Finding("description.links", "warn" if away_m <= _ALIKE_M else "fail", link, seen, todo)]


def _topic(robot: Robot, controller: Controller, graph: Mapping[str, Any]) -> Iterator[Finding]:
    endpoints = graph["topics"].get(controller.endpoint, {"publishers": [], "subscriptions": []})
    where, listeners = controller.endpoint, [each["node"] for each in endpoints["subscriptions"]]
    if not listeners:
        todo = f"start its controller: ros2 run learned_arm switch_controllers --ros-args -p robot:={robot.name}"
        yield Finding("command.listener", "fail", where, "nobody listens", todo)
    else:
        yield fine("command.listener", where, ", ".join(sorted(set(listeners))))
    others = sorted({each["node"] for each in endpoints["publishers"]} - {DOOR})
    if others:
        todo = "stop it: whoever commands past the door is neither limited nor recorded"
        yield Finding("command.past_the_door", "fail", where, f"{', '.join(others)} publishes it too", todo)


def _action(controller: Controller, services: Collection[str]) -> Iterator[Finding]:
    goal = f"{controller.endpoint}/_action/send_goal"
    if goal in services:
        yield fine("command.listener", controller.endpoint, "an action server")
    else:
        todo = "start the gripper's controller; ros2 action list shows what there is"
        yield Finding("command.listener", "fail", controller.endpoint, "no action server", todo)


def _hardware(manager: str, snapshot: Mapping[str, Any]) -> Iterator[Finding]:
    for name, each in snapshot["hardware"].get(manager, {}).items():
        state = each.get("state", {}) if isinstance(each, Mapping) else {}
        label = state.get("label", "") if isinstance(state, Mapping) else str(state)
        if label and label != ACTIVE:
            todo = "power, brakes, e-stop, the program on the pendant; then activate it through the controller manager"
            yield Finding("controllers.hardware", "fail", name, label, todo)

"""Checks of what the robot and its cameras publish."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demo_tools.doctor.findings import Finding, fine
from demo_tools.doctor.heard import HeardCamera, HeardJoints, HeardTopic
from learned_arm.clock_watch import LARGEST_FUTURE_NS
from learned_arm.contract import CameraSpec, Contract
from learned_arm.pictures import TYPES
from learned_arm.robot import JointStateSource, Robot

JOINT_STATE, WRENCH = "sensor_msgs/msg/JointState", "geometry_msgs/msg/WrenchStamped"
_DRIVERS = {"joint_states": "the driver", "camera": "the camera's driver", "wrench": "the sensor's driver"}
SIMULATION = "/sim_arm_node"
_NOBODY: dict[str, list[Any]] = {"publishers": []}
# A stream that is asked for N messages a second may come with a little less: drivers round their periods.
_ENOUGH = 0.9
_DARK, _BRIGHT = 8, 247
_CLOCKS = "set both machines' clocks by one server (chrony, PTP), and let the driver stamp with the time of exposure"


def check_joint_states(robot: Robot, heard: Mapping[str, HeardJoints], graph: Mapping[str, Any]) -> list[Finding]:
    """Every topic of joint states, and the joints of all of them together."""
    found: list[Finding] = []
    named: dict[str, float] = {}
    for source in robot.joint_states:
        found += check_stream("joint_states", source.topic, JOINT_STATE, heard[source.topic], graph, source.max_age_s)
        found += _joint_rate(robot, source, heard[source.topic])
        found += _order(source, heard[source.topic])
        named |= {source.ours((name,))[0]: at for name, at in heard[source.topic].position.items()}
    if named:
        found += _names(robot, named)
        found += _positions(robot, named)
    return found


def check_cameras(contract: Contract, heard: Mapping[str, HeardCamera], graph: Mapping[str, Any]) -> list[Finding]:
    """Every camera of the contract."""
    found: list[Finding] = []
    for name, camera in contract.cameras.items():
        pictures = heard[camera.topic]
        found += check_stream("camera", camera.topic, TYPES[camera.message], pictures, graph, camera.max_age_s)
        if pictures.statistics.messages:
            found += _camera(contract, name, camera, pictures, graph)
    return found


def check_wrenches(contract: Contract, heard: Mapping[str, HeardTopic], graph: Mapping[str, Any]) -> list[Finding]:
    """Every force-torque sensor of the contract."""
    found: list[Finding] = []
    for wrench in contract.wrenches.values():
        forces = heard[wrench.topic]
        found += check_stream("wrench", wrench.topic, WRENCH, forces, graph, wrench.max_age_s)
        found += _tick_rate("wrench", contract, wrench.topic, forces, "set the sensor's (its controller's) update rate")
    return found


def check_stream(
    kind: str, topic: str, wanted_type: str, heard: HeardTopic, graph: Mapping[str, Any], max_age_s: float
) -> Iterator[Finding]:
    """Whether somebody publishes, one only, of the right type, in time and with stamps to be believed."""
    endpoints = graph["topics"].get(topic, {"publishers": [], "types": []})
    publishers = [each["node"] for each in endpoints["publishers"]]
    if not publishers:
        todo = f"start {_DRIVERS[kind]}, look at its topics and remappings (ros2 topic list), and check ROS_DOMAIN_ID"
        yield Finding(f"{kind}.topic", "fail", topic, "nobody publishes it", todo)
        return
    types = sorted({each["type"] for each in endpoints["publishers"]})
    if types != [wanted_type]:
        todo = f"name a topic of {wanted_type} in the robot or contract file"
        yield Finding(f"{kind}.type", "fail", topic, f"it carries {', '.join(types)}", todo)
        return
    if len(publishers) > 1:
        todo = "stop all but one: two drivers, or one that was started twice, take turns in telling where the arm is"
        yield Finding(f"{kind}.publishers", "fail", topic, f"{len(publishers)} of it: {', '.join(publishers)}", todo)
    else:
        yield fine(f"{kind}.publishers", topic, publishers[0])
    offered = {each["qos"]["reliability"] for each in endpoints["publishers"]}
    if kind == "joint_states" and offered == {"best_effort"}:
        todo = "set its publisher to reliable (QoS overrides of its node): our nodes want every joint state"
        yield Finding(f"{kind}.qos", "fail", topic, "published best effort, which a reliable reader never hears", todo)
    if not heard.statistics.messages:
        todo = "look at the driver's log; over a network, at its firewall and at multicast"
        yield Finding(f"{kind}.silent", "fail", topic, f"{publishers[0]} says nothing", todo)
        return
    if heard.unreadable:
        words, count = heard.unreadable.most_common(1)[0]
        yield Finding(f"{kind}.message", "fail", topic, f"{count} cannot be used: {words}", "mend the driver")
    yield from _gaps(kind, topic, heard, max_age_s)
    yield from _stamps(kind, topic, heard, max_age_s)


def _gaps(kind: str, topic: str, heard: HeardTopic, max_age_s: float) -> Iterator[Finding]:
    gap_s = heard.statistics.largest_gap_ns / 1e9
    if gap_s > max_age_s:
        todo = "find what stalls it (CPU, USB, Wi-Fi), or allow more in max_age_s: the arm holds at each such gap"
        seen = f"silent for {gap_s * 1e3:.0f} ms, allowed {max_age_s * 1e3:.0f} ms"
        yield Finding(f"{kind}.gap", "fail", topic, seen, todo)
    else:
        yield fine(f"{kind}.gap", topic, f"longest {gap_s * 1e3:.0f} ms, allowed {max_age_s * 1e3:.0f} ms")


def _stamps(kind: str, topic: str, heard: HeardTopic, max_age_s: float) -> Iterator[Finding]:
    offset_ns = heard.offset_ns
    if offset_ns is None:
        return
    messages = heard.statistics.messages
    if heard.backward:
        seen = f"{heard.backward} of {messages} stamps lie before the one before"
        todo = "one publisher with one clock: stop a second one, and anything that replays a bag"
        yield Finding(f"{kind}.stamps", "fail", topic, seen, todo)
    if heard.repeated > messages / 2:
        seen = f"{heard.repeated} of {messages} have the stamp of the one before"
        todo = "the driver has lost its device and repeats what it had last: look at its log, start it again"
        yield Finding(f"{kind}.frozen", "fail", topic, seen, todo)
    offset_ms = offset_ns / 1e6
    if offset_ns > LARGEST_FUTURE_NS:
        seen = f"stamped {offset_ms:.0f} ms ahead, allowed {LARGEST_FUTURE_NS / 1e6:.0f} ms"
        yield Finding(f"{kind}.offset", "fail", topic, seen, _CLOCKS)
    elif -offset_ns > max_age_s * 1e9:
        seen = f"stamped {-offset_ms:.0f} ms back, allowed {max_age_s * 1e3:.0f} ms"
        yield Finding(f"{kind}.offset", "fail", topic, seen, _CLOCKS)
    else:
        yield fine(f"{kind}.offset", topic, f"stamped {-offset_ms:.1f} ms before it is received")


def _joint_rate(robot: Robot, source: JointStateSource, heard: HeardJoints) -> Iterator[Finding]:
    rate_hz, wanted_hz = heard.statistics.mean_rate_hz, robot.control_rate_hz
    if not rate_hz:
        return
    seen = f"{rate_hz:.1f} Hz, commanded at {wanted_hz} Hz"
    if rate_hz < _ENOUGH * wanted_hz:
        todo = (
            "set the driver's (controller manager's) update rate, a serial line's latency timer, or lower "
            "control_rate_hz in the robot file"
        )
        yield Finding("joint_states.rate", "warn", source.topic, seen, todo)
    else:
        yield fine("joint_states.rate", source.topic, seen)


def _order(source: JointStateSource, heard: HeardJoints) -> Iterator[Finding]:
    doubled = sorted({name for order in heard.orders for name in order if order.count(name) > 1})
    if doubled:
        todo = "two hardware interfaces export one joint: mend the robot description"
        yield Finding("joint_states.twice", "fail", source.topic, f"named twice: {', '.join(doubled)}", todo)
    if len(heard.orders) > 1:
        seen = f"{len(heard.orders)} different lists of joints"
        todo = "learned_arm goes by names and copes; whoever goes by places does not. One publisher tells all joints?"
        yield Finding("joint_states.order", "warn", source.topic, seen, todo)
    if heard.not_finite:
        todo = "the driver has no reading of it: cable, power, homing"
        names = ", ".join(sorted(heard.not_finite))
        yield Finding("joint_states.finite", "fail", source.topic, f"not finite: {names}", todo)


def _names(robot: Robot, named: Mapping[str, float]) -> Iterator[Finding]:
    missing = [joint for joint in robot.joints if joint not in named]
    if not missing:
        more = len(named) - robot.dof
        yield fine("joint_states.names", robot.name, f"all {robot.dof} joints" + (f" and {more} more" if more else ""))
        return
    extra = [name for name in named if name not in robot.joints]
    for joint in missing:
        close = difflib.get_close_matches(joint, extra, 1)
        told = f"; is it {close[0]}?" if close else f"; the driver has {', '.join(extra) or 'no other'}"
        todo = "call the joints in the robot file as the driver does (a prefix?), or start the driver of this robot"
        yield Finding("joint_states.names", "fail", joint, f"not in the joint states{told}", todo)


def _positions(robot: Robot, named: Mapping[str, float]) -> Iterator[Finding]:
    limits, margins = robot.limit("position_rad"), robot.limit("position_margin_rad")
    outside = 0
    for joint, (low, high), margin in zip(robot.joints, limits, margins, strict=True):
        at = named.get(joint)
        if at is not None and not low + margin <= at <= high - margin:
            outside += 1
            seen = f"at {at:.3f}, our limits are {low + margin:.3f} .. {high - margin:.3f}"
            todo = "move it inside by hand or with the pendant; where it already is, check units and calibration"
            yield Finding("joint_states.position", "fail", joint, seen, todo)
    if not outside:
        yield fine("joint_states.position", robot.name, "every joint is inside our limits")


def _tick_rate(kind: str, contract: Contract, where: str, heard: HeardTopic, todo: str) -> Iterator[Finding]:
    """Whether there is something new at every tick of the contract."""
    rate_hz = heard.statistics.mean_rate_hz
    seen = f"{rate_hz:.1f} Hz, a tick is {1 / contract.rate_hz:.3g} s ({contract.rate_hz} Hz)"
    if rate_hz and rate_hz < _ENOUGH * contract.rate_hz:
        yield Finding(f"{kind}.rate", "fail", where, seen, todo)
    elif rate_hz:
        yield fine(f"{kind}.rate", where, seen)


def _camera(
    contract: Contract, name: str, camera: CameraSpec, heard: HeardCamera, graph: Mapping[str, Any]
) -> Iterator[Finding]:
    todo = "set the camera's frame rate; less light lengthens exposure; USB 2 and shared hubs halve rates"
    yield from _tick_rate("camera", contract, name, heard, todo)
    # A picture that is drawn has no noise: of a world at rest it is the same again.
    drawn = any(each["node"] == SIMULATION for each in graph["topics"].get(camera.topic, _NOBODY)["publishers"])
    if heard.looked_at > 1 and heard.pictures == 1 and not drawn:
        todo = "the driver repeats one picture: start it again, and look at the cable"
        yield Finding("camera.frozen", "fail", name, f"{heard.looked_at} pictures without any difference", todo)
    if heard.small is not None:
        mean = float(heard.small.mean())
        if mean < _DARK or mean > _BRIGHT:
            todo = "lens cap, light, exposure"
            yield Finding("camera.exposure", "warn", name, f"mean brightness {mean:.0f} of 255", todo)
    for height, width in heard.sizes:
        if height < camera.size[0] or width < camera.size[1]:
            seen = f"{width}x{height}, the policy sees {camera.size[1]}x{camera.size[0]}"
            yield Finding("camera.size", "warn", name, seen, "set the camera to a larger picture")
    yield from _frame(name, sorted(heard.frames), list(contract.cameras))
    if not graph["topics"].get(camera.info_topic, _NOBODY)["publishers"]:
        todo = "calibrate the camera and let its driver publish it: what it saw with is part of every episode"
        yield Finding("camera.info", "warn", name, f"nobody publishes {camera.info_topic}", todo)


def _frame(name: str, frames: Sequence[str], cameras: Sequence[str]) -> Iterator[Finding]:
    """A frame_id that names another camera of the contract, and not this one."""
    for frame in frames:
        named = [each for each in cameras if each in frame]
        if named and name not in named:
            todo = f"swapped: change the topics of {name} and {named[0]}, or the serial numbers in the cameras' file"
            yield Finding("camera.frame", "fail", name, f"its pictures are of {frame}", todo)

"""What a task asks of a robot and a policy: observations, labels, rates and success. Read from YAML, checked whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from learned_arm import checked, pictures
from learned_arm.canonical import hash_of
from learned_arm.depth import DepthRange
from learned_arm.errors import LearnedArmError
from learned_arm.pictures import DEPTH, RAW, TYPES
from learned_arm.robot import Robot, load_robot, parse_robot
from learned_arm.state import WrenchSpec, state_names
from learned_arm.tool_labels import ToolLabels

CONTRACT_VERSION = 1
SOURCES = ("requested", "sent", "measured_next")
JOINT_REPRESENTATIONS = ("absolute", "delta", "chunk_relative", "velocity")
TOOL_REPRESENTATIONS = ("tool_pose", "tool_relative")
REPRESENTATIONS = (*JOINT_REPRESENTATIONS, *TOOL_REPRESENTATIONS)
JUDGES = ("topic", "operator", "goal_image", "final_pose")
_FINAL_TOOL_M = 0.05


@dataclass(frozen=True)
class CameraSpec:
    """A camera of the observation.

    Attributes:
        topic: Image topic.
        size: Height and width that the policy sees, in pixels.
        max_age_s: Oldest frame that may be used, against the tick.
        latency_s: Known delay between exposure and header stamp.
        message: What it carries: `raw`, `compressed` or `depth` images.
        depth: Of a depth camera, which distances the policy tells apart.
    """

    topic: str
    size: tuple[int, int]
    max_age_s: float
    latency_s: float
    message: str = RAW
    depth: DepthRange = pictures.ANY_DEPTH

    @property
    def info_topic(self) -> str:
        """The camera_info topic beside the image, as image_transport places it."""
        return self.topic.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"

    def picture(self, raw: bytes | memoryview, out: pictures.Pixels | None = None) -> pictures.Pixels:
        """A message of the topic as the policy sees it, RGB, uint8, shape (*size, 3), where wanted into an array.

        Raises:
            LearnedArmError: See `pictures.decode`.
        """
        return pictures.decode(raw, self.size, self.message, out, self.depth)

    def whole(self, raw: bytes | memoryview) -> pictures.Pixels:
        """The same in its own size."""
        return pictures.decode(raw, None, self.message, shown=self.depth)

    def small(self, raw: bytes | memoryview) -> pictures.Pixels:
        """The same for people to look at; see `pictures.decode_small`."""
        return pictures.decode_small(raw, self.message, self.depth)

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file."""
        found = {
            "topic": self.topic,
            "size": list(self.size),
            "max_age_s": self.max_age_s,
            "latency_s": self.latency_s,
        }
        if self.message != RAW:
            found["message"] = self.message
        if self.message == DEPTH:
            found["depth_m"] = [self.depth.near_m, self.depth.far_m]
        return found


@dataclass(frozen=True)
class ActionSpec:
    """What a label is.

    Attributes:
        source: The recorded stream that labels are taken from.
        representation: How a chunk of targets is written as numbers.
        horizon: Labels in a chunk, one a tick.
        offset_ticks: Label k of a chunk at tick t is the target in force at t + k + offset_ticks.
        absolute_groups: Joint groups that stay absolute in every representation (a gripper, say).
        tools: Links whose poses are the labels, where these are poses.
    """

    source: str
    representation: str
    horizon: int
    offset_ticks: int
    absolute_groups: tuple[str, ...]
    tools: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuccessSpec:
    """How an episode is judged.

    Attributes:
        judge: Its name.
        topic: For `topic`, the Bool topic that it listens to.
        final_tool_m: For `final_pose`: how far from where it ended the tool may end and still have done the same.
    """

    judge: str
    topic: str | None
    final_tool_m: float = _FINAL_TOOL_M


@dataclass(frozen=True)
class Contract:
    """A task on a robot. `hash` names the pair everywhere.

    Attributes:
        tools: Links whose poses belong to the state; see `state`.
        wrenches: Force-torque sensors whose readings do, by name.
    """

    task: str
    robot: Robot
    rate_hz: int
    cameras: dict[str, CameraSpec]
    state_max_age_s: float
    history: int
    action: ActionSpec
    success: SuccessSpec
    tools: tuple[str, ...] = ()
    wrenches: dict[str, WrenchSpec] = field(default_factory=dict)

    @property
    def period_ns(self) -> int:
        """One tick; ticks lie at the multiples of it in ROS time."""
        return round(1e9 / self.rate_hz)

    def require_control_ticks(self, why: str) -> None:
        """Raise unless every tick of the contract is a control tick of its robot.

        Args:
            why: Begins the error.

        Raises:
            LearnedArmError: It is not.
        """
        if self.period_ns % self.robot.control_period_ns:
            allowed = f"a divisor of control_rate_hz {self.robot.control_rate_hz}"
            raise LearnedArmError(why, where="rate_hz", got=self.rate_hz, allowed=allowed)

    @cached_property
    def required_topics(self) -> tuple[str, ...]:
        """Topics without which there is no observation: every camera's, the joint states' and every wrench's."""
        streams = (*self.cameras.values(), *self.robot.joint_states, *self.wrenches.values())
        return tuple(stream.topic for stream in streams)

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """What the numbers of a policy's state are; the robot's joints come first."""
        return state_names(self.robot.joints, self.tools, self.wrenches)

    @cached_property
    def tool_labels(self) -> ToolLabels | None:
        """How poses of tools become targets; None where labels are of joints."""
        tools, representation = self.action.tools, self.action.representation
        return ToolLabels(self.robot, tools, representation == "tool_relative") if tools else None

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the numbers of a label are."""
        return self.robot.joints if self.tool_labels is None else self.tool_labels.names

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of robot and contract."""
        return hash_of(self.canonical())

    def canonical(self) -> dict[str, Any]:
        """The content as plain data: the form of the YAML file, with the whole robot in it."""
        success: dict[str, Any] = {"judge": self.success.judge}
        if self.success.topic is not None:
            success["topic"] = self.success.topic
        if self.success.final_tool_m != _FINAL_TOOL_M:
            success["final_tool_m"] = self.success.final_tool_m
        state: dict[str, Any] = {"joints": "all", "max_age_s": self.state_max_age_s}
        if self.tools:
            state["tools"] = list(self.tools)
        tools = {"tools": list(self.action.tools)} if self.action.tools else {}
        wrenches = {name: wrench.canonical() for name, wrench in self.wrenches.items()}
        return {
            "contract": CONTRACT_VERSION,
            "task": self.task,
            "robot": self.robot.canonical(),
            "rate_hz": self.rate_hz,
            "observation": {
                "cameras": {name: camera.canonical() for name, camera in self.cameras.items()},
                "state": state,
                **({"wrenches": wrenches} if wrenches else {}),
                "history": self.history,
            },
            "action": {
                "source": self.action.source,
                "representation": self.action.representation,
                "horizon": self.action.horizon,
                "offset_ticks": self.action.offset_ticks,
                "absolute_groups": list(self.action.absolute_groups),
                **tools,
            },
            "success": success,
        }

    @staticmethod
    def from_canonical(value: Any, where: str = "contract") -> Contract:
        """Rebuild a contract from `canonical()`, as it is kept in episodes and policies.

        Raises:
            LearnedArmError: Any entry is wrong.
        """
        return _parse(value, where)


def load_contract(name_or_path: str | Path, robot: str | Path | None = None) -> Contract:
    """Load a contract by the name of a shipped file or by path, with its robot.

    Args:
        name_or_path: `pick_cube`, or a path that ends in .yaml.
        robot: Another robot file than the one the contract names.

    Raises:
        LearnedArmError: A file is missing or any entry is wrong.
    """
    value, where = checked.load_yaml(name_or_path, "contracts")
    if robot is not None and isinstance(value, dict):
        value = {**value, "robot": str(robot)}
    return _parse(value, where)


def _parse(value: Any, where: str) -> Contract:
    top = checked.Section(value, where)
    top.take("contract", checked.integer(CONTRACT_VERSION, CONTRACT_VERSION))
    task = top.take("task", checked.name)
    robot = top.take("robot", _robot)
    rate_hz = top.take("rate_hz", checked.integer(1, robot.control_rate_hz))
    observation = top.section("observation")
    cameras_section = observation.section("cameras")
    # Sorted, so that a contract read back from canonical JSON lists its cameras in the same order.
    cameras = {
        checked.name(key, cameras_section.where): _camera(each, f"{cameras_section.where}.{key}")
        for key, each in sorted(cameras_section.items())
    }
    wrenches = observation.take("wrenches", _wrenches, default={})
    streams = (*cameras.values(), *robot.joint_states, *wrenches.values())
    checked.unlike([each.topic for each in streams], "two streams on one topic", observation.where)
    state = observation.section("state")
    state.take("joints", checked.choice("all"))
    state_max_age_s = state.take("max_age_s", checked.number(0.0, 60.0, open_low=True))
    tools = state.take("tools", _tools_of(robot), default=())
    state.done()
    history = observation.take("history", checked.integer(1, 64), default=1)
    observation.done()
    action = top.section("action")
    groups = tuple(group.name for group in robot.groups)
    spec = ActionSpec(
        source=action.take("source", checked.choice(*SOURCES)),
        representation=action.take("representation", checked.choice(*REPRESENTATIONS)),
        horizon=action.take("horizon", checked.integer(1, 1000)),
        offset_ticks=action.take("offset_ticks", checked.integer(0, 1000)),
        absolute_groups=action.take(
            "absolute_groups", checked.list_of(checked.choice(*groups), shortest=0), default=()
        ),
    )
    if spec.representation in TOOL_REPRESENTATIONS:
        spec = replace(spec, tools=action.take("tools", _tools_of(robot)))
        _require_free(robot, spec, action.where)
    action.done()
    success = top.section("success")
    judge = success.take("judge", checked.choice(*JUDGES))
    topic = success.take("topic", checked.topic) if judge == "topic" else None
    final_tool_m = success.take("final_tool_m", checked.number(0.0, 1.0, open_low=True), default=_FINAL_TOOL_M)
    success.done()
    top.done()
    judged = SuccessSpec(judge, topic, final_tool_m)
    return Contract(task, robot, rate_hz, cameras, state_max_age_s, history, spec, judged, tools, wrenches)


def _robot(value: Any, where: str) -> Robot:
    return parse_robot(value, where) if isinstance(value, dict) else load_robot(checked.text(value, where))


def _tools_of(robot: Robot) -> Callable[[Any, str], tuple[str, ...]]:
    """Links of the robot, each once."""
    links = robot.kinematics.links if robot.kinematics is not None else ()

    def check(value: Any, where: str) -> tuple[str, ...]:
        tools = tuple(checked.list_of(checked.choice(*links))(value, where))
        checked.unlike(tools, "a tool named twice", where)
        return tools

    return check


def _require_free(robot: Robot, action: ActionSpec, where: str) -> None:
    """Raise where a group is asked to stay absolute whose joints follow from where the tools are."""
    free = set(ToolLabels(robot, action.tools, relative=False).names)
    for group in action.absolute_groups:
        bound = [joint for joint in robot.joints[robot.slices[group]] if joint not in free]
        if bound:
            got, allowed = f"{group}: {', '.join(bound)}", "groups that move none of the tools"
            raise LearnedArmError("tools decide about it", where=f"{where}.absolute_groups", got=got, allowed=allowed)


def _wrenches(value: Any, where: str) -> dict[str, WrenchSpec]:
    items = sorted(checked.Section(value, where).items())
    return {checked.name(key, where): _wrench(each, f"{where}.{key}") for key, each in items}


def _wrench(value: Any, where: str) -> WrenchSpec:
    section = checked.Section(value, where)
    wrench = WrenchSpec(
        topic=section.take("topic", checked.topic),
        max_age_s=section.take("max_age_s", checked.number(0.0, 60.0, open_low=True)),
        latency_s=section.take("latency_s", checked.number(0.0, 10.0), default=0.0),
    )
    section.done()
    return wrench


def _camera(value: Any, where: str) -> CameraSpec:
    section = checked.Section(value, where)
    size = section.take("size", checked.list_of(checked.integer(8, 4096)))
    if len(size) != 2:
        raise LearnedArmError("wrong length", where=f"{where}.size", got=list(size), allowed="[height, width]")
    camera = CameraSpec(
        topic=section.take("topic", checked.topic),
        size=(size[0], size[1]),
        max_age_s=section.take("max_age_s", checked.number(0.0, 60.0, open_low=True)),
        latency_s=section.take("latency_s", checked.number(0.0, 10.0), default=0.0),
        message=section.take("message", checked.choice(*TYPES), default=RAW),
    )
    if camera.message == DEPTH:
        camera = replace(camera, depth=section.take("depth_m", _depth))
    section.done()
    return camera


def _depth(value: Any, where: str) -> DepthRange:
    ends = checked.list_of(checked.number(0.0, 1000.0))(value, where)
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise LearnedArmError("not a range", where=where, got=list(ends), allowed="[near, far], near < far")
    return DepthRange(*ends)

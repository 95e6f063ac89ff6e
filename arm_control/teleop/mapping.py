"""Teleoperation files: which joint follows which joint of a leader arm, axis or button; YAML, checked whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm_control.teleop.tool import FRAMES
from learned_arm import checked
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

KINDS = ("leader", "gamepad")
STATES, TRAJECTORY = "joint_state", "trajectory"
MESSAGES = (STATES, TRAJECTORY)
DIRECTIONS = ("x", "y", "z", "roll", "pitch", "yaw")
"""Along and about the axes of a frame."""
_POSITIVE = checked.number(0.0, 1e3, open_low=True)
_MOST_BUTTONS = 63


@dataclass(frozen=True)
class Followed:
    """What a joint of the arm follows: `scale * leader + offset_rad`; a scale below 0 turns the sign.

    Attributes:
        leader: Name of the leader's joint.
        scale: Ours for one of the leader's.
        offset_rad: Where ours is when the leader's is at 0.
    """

    leader: str
    scale: float
    offset_rad: float


@dataclass(frozen=True)
class LeaderMapping:
    """A leader arm.

    Attributes:
        topic: Its joint states, or where a node publishes where it would have the joints (MoveIt Servo).
        max_age_s: Silence past which it is released.
        joints: What each of our joints follows, in our joint order; a joint that is not named keeps its place.
        align_rad: How far a joint may be from where the leader asks for it when the lease is taken.
        drift_rad: How far it may trail later before that is told.
        message: What comes on the topic, one of `MESSAGES`.
    """

    topic: str
    max_age_s: float
    joints: dict[str, Followed]
    align_rad: float
    drift_rad: float
    message: str = STATES


@dataclass(frozen=True)
class Control:
    """An axis or a button: at its full, or pressed, a joint moves at this speed; below 0 the other way.

    Attributes:
        number: Of the axis or button in the Joy message.
        joint: Ours.
        speed_rad_s: At its full.
    """

    number: int
    joint: str
    speed_rad_s: float


@dataclass(frozen=True)
class ToolControl:
    """An axis or a button that moves the tool, and all joints for it.

    Attributes:
        number: Of the axis or button in the Joy message.
        direction: One of `DIRECTIONS`.
        speed: At its full, m/s or rad/s; below 0 the other way.
    """

    number: int
    direction: str
    speed: float


@dataclass(frozen=True)
class ToolSpec:
    """What is moved along straight lines.

    Attributes:
        link: The tool's, in the robot's kinematics.
        frame: Whose axes the directions are: the base's or the tool's.
    """

    link: str
    frame: str


@dataclass(frozen=True)
class GamepadMapping:
    """A gamepad.

    Attributes:
        topic: Its Joy messages.
        max_age_s: Silence past which it is released.
        held_button: The lease is taken while this one is held.
        deadzone: Axes count from here on.
        axes: What they move.
        buttons: What they move.
        tool: What those of a tool move; None: there are none.
        button_events: Whether a message tells of one button only, its last, and only when that one changes.
    """

    topic: str
    max_age_s: float
    held_button: int
    deadzone: float
    axes: tuple[Control | ToolControl, ...]
    buttons: tuple[Control | ToolControl, ...]
    tool: ToolSpec | None
    button_events: bool


def load_mapping(name_or_path: str | Path, robot: Robot) -> LeaderMapping | GamepadMapping:
    """Load a teleoperation file by the name of a shipped one or by path.

    Raises:
        LearnedArmError: The file is missing, an entry is wrong, or it is for another arm.
    """
    value, where = checked.load_yaml(name_or_path, "teleop")
    return parse_mapping(value, where, robot)


def parse_mapping(value: Any, where: str, robot: Robot) -> LeaderMapping | GamepadMapping:
    """Check a teleoperation file's plain data whole.

    Raises:
        LearnedArmError: Unknown or missing key, a joint that the arm does not have, a leader's joint followed twice.
    """
    top = checked.Section(value, where)
    kind = top.take("teleop", checked.choice(*KINDS))
    found = _leader(top, robot) if kind == "leader" else _gamepad(top, robot)
    top.done()
    return found


def _leader(top: checked.Section, robot: Robot) -> LeaderMapping:
    section = top.section("joints")
    joints = {name: _followed(each, f"{section.where}.{name}") for name, each in section.items()}
    _known(list(joints), robot, section.where)
    checked.unlike([each.leader for each in joints.values()], "followed by two joints", section.where)
    if not joints:
        raise LearnedArmError("nothing follows the leader", where=section.where, allowed=list(robot.joints))
    return LeaderMapping(
        topic=top.take("topic", checked.topic),
        max_age_s=top.take("max_age_s", _POSITIVE, default=0.2),
        joints={joint: joints[joint] for joint in robot.joints if joint in joints},
        align_rad=top.take("align_rad", _POSITIVE, default=0.2),
        drift_rad=top.take("drift_rad", _POSITIVE, default=0.3),
        message=top.take("message", checked.choice(*MESSAGES), default=STATES),
    )


def _followed(value: Any, where: str) -> Followed:
    section = checked.Section(value, where)
    scale = section.take("scale", checked.number(-100.0, 100.0), default=1.0)
    if scale == 0.0:
        raise LearnedArmError("follows nothing", where=f"{where}.scale", got=scale, allowed="not 0")
    found = Followed(
        leader=section.take("leader", checked.text),
        scale=scale,
        offset_rad=section.take("offset_rad", checked.number(-100.0, 100.0), default=0.0),
    )
    section.done()
    return found


def _gamepad(top: checked.Section, robot: Robot) -> GamepadMapping:
    def controls(number: str) -> tuple[Control | ToolControl, ...]:
        check = checked.list_of(lambda value, at: _control(value, at, number, robot), shortest=0)
        return top.take("axes" if number == "axis" else "buttons", check, default=())

    axes, buttons = controls("axis"), controls("button")
    found = GamepadMapping(
        topic=top.take("topic", checked.topic, default="/joy"),
        max_age_s=top.take("max_age_s", _POSITIVE, default=0.3),
        held_button=top.take("held_button", checked.integer(0, _MOST_BUTTONS)),
        deadzone=top.take("deadzone", checked.number(0.0, 0.9), default=0.05),
        axes=axes,
        buttons=buttons,
        tool=top.take("tool", lambda value, at: _tool(value, at, robot), default=None),
        button_events=top.take("button_events", checked.boolean, default=False),
    )
    if found.tool is None and any(isinstance(each, ToolControl) for each in (*axes, *buttons)):
        raise LearnedArmError("no tool to move", where=top.where, allowed="tool: {link: ...}")
    if found.held_button in [each.number for each in buttons]:
        raise LearnedArmError("a button that is held moves something", where=top.where, got=found.held_button)
    if not axes and not buttons:
        raise LearnedArmError("nothing moves anything", where=top.where, allowed="axes or buttons")
    return found


def _tool(value: Any, where: str, robot: Robot) -> ToolSpec:
    if robot.kinematics is None:
        raise LearnedArmError("the robot file has no kinematics", where=where, got=robot.name)
    section = checked.Section(value, where)
    found = ToolSpec(
        link=section.take("link", checked.choice(*robot.kinematics.links)),
        frame=section.take("frame", checked.choice(*FRAMES), default="base"),
    )
    section.done()
    return found


def _control(value: Any, where: str, number: str, robot: Robot) -> Control | ToolControl:
    section = checked.Section(value, where)
    direction = section.take("tool", checked.choice(*DIRECTIONS), default="")
    if direction:
        key = "speed_m_s" if DIRECTIONS.index(direction) < 3 else "speed_rad_s"
        moved = ToolControl(
            number=section.take(number, checked.integer(0, _MOST_BUTTONS)),
            direction=direction,
            speed=section.take(key, checked.number(-10.0, 10.0)),
        )
        section.done()
        return moved
    found = Control(
        number=section.take(number, checked.integer(0, _MOST_BUTTONS)),
        joint=section.take("joint", checked.text),
        speed_rad_s=section.take("speed_rad_s", checked.number(-100.0, 100.0)),
    )
    section.done()
    _known([found.joint], robot, where)
    return found


def _known(joints: list[str], robot: Robot, where: str) -> None:
    unknown = sorted(set(joints) - set(robot.joints))
    if unknown:
        raise LearnedArmError("no such joint", where=where, got=unknown, allowed=list(robot.joints))

"""How joint groups reach their controllers: the command adapters of a robot file, checked, and their plain form.

A group's `command` names one adapter. Adapters of `ON_TOPICS` own a controller's topic, those of `ACTIONS` an action.
A group `in_vector` owns nothing: its joints travel in the message of another group's controller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from learned_arm import checked
from learned_arm.errors import LearnedArmError

NAMED = ("joint_group_command", "joint_single_command")
_STANDARD = ("forward_position", "forward_velocity", "joint_trajectory")
ON_TOPICS = (*_STANDARD, *NAMED)
ACTIONS = ("gripper_command", "parallel_gripper_command", "franka_gripper")
ADAPTERS = (*_STANDARD, "in_vector", *ACTIONS, *NAMED)
# A trajectory controller moves on to its point when the door falls silent: not longer than this.
LONGEST_TIME_FROM_START_S = 0.5
# Two periods bridge a late tick and still end soon.
_TIME_FROM_START_PERIODS = 2
_GAIN_PER_S = 5.0
_LARGEST_GAIN_PER_S = 20.0
_CORRECTION_RAD_S = 0.2
_DEADBAND_SHARE = 0.01
_GOAL_RATE_HZ = 10.0
_FASTEST_GOAL_RATE_HZ = 50.0
# The hand carries out one goal after another, and stops for each. A safe stream at full speed overruns its target by
# 6 % of an FR3's stroke, v^2 / 2 a by its file.
_FRANKA_GOAL_RATE_HZ, _FRANKA_M_S, _FRANKA_TURN_SHARE = 2.0, 0.1, 0.1
_POSITIVE = checked.number(0.0, 1e6, open_low=True)


@dataclass(frozen=True)
class VelocitySettings:
    """What `forward_velocity` adds to the speed of the safe stream.

    Attributes:
        gain_per_s: Correction a second for each rad between sent and measured position; 0: none.
        correction_rad_s: Largest correction.
    """

    gain_per_s: float
    correction_rad_s: float


@dataclass(frozen=True)
class TrajectorySettings:
    """The point that `joint_trajectory` sends at each control tick.

    Attributes:
        time_from_start_s: When the point is to be reached: the lag of the arm, and how long it moves on without us.
        velocities: Whether the point carries the stream's speed.
    """

    time_from_start_s: float
    velocities: bool


@dataclass(frozen=True)
class GripperSettings:
    """How a stream of positions becomes goals of an action.

    Attributes:
        action: Name of the controller's action.
        max_effort: Largest effort in the controller's unit, N or N m; None leaves it to the controller.
        deadband_rad: A target nearer than this to the last goal is no new goal while the stream moves.
        goal_rate_hz: Most goals a second.
        speed_m_s: How fast the fingers go, where the action asks for it.
        turn_rad: How far goals come back before fingers that were opened close, or the other way, where that is
            another action.
    """

    action: str
    max_effort: float | None
    deadband_rad: float
    goal_rate_hz: float
    speed_m_s: float | None = None
    turn_rad: float | None = None


@dataclass(frozen=True)
class NamedSettings:
    """What a driver of Interbotix calls the joints that a message is for.

    Attributes:
        name: Of a group (`arm`) or of a joint (`gripper`).
        scale: What is sent for one of ours.
    """

    name: str
    scale: float = 1.0


Settings = VelocitySettings | TrajectorySettings | GripperSettings | NamedSettings


@dataclass(frozen=True)
class CommandSpec:
    """How a group is commanded.

    Attributes:
        adapter: One of `ADAPTERS`.
        topic: The controller's topic; empty for `in_vector` and for actions.
        joints: The controller's joints in its order, where they are not just those of the group.
        of: For `in_vector`, the group whose controller takes these joints as well.
        settings: What the adapter alone has.
    """

    adapter: str
    topic: str = ""
    joints: tuple[str, ...] = ()
    of: str = ""
    settings: Settings | None = None

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file, defaults written out."""
        settings = {} if self.settings is None else asdict(self.settings)
        plain = {"adapter": self.adapter, "topic": self.topic, "joints": list(self.joints), "of": self.of}
        return {**{key: value for key, value in plain.items() if value}, **_given(settings)}


@dataclass(frozen=True)
class Controller:
    """One controller and what it takes.

    Attributes:
        groups: Joint groups that it moves, its owner first.
        joints: Their joints in the controller's order.
        places: Where each of them stands in the robot's joint order.
        command: The owner's command.
    """

    groups: tuple[str, ...]
    joints: tuple[str, ...]
    places: tuple[int, ...]
    command: CommandSpec

    @property
    def endpoint(self) -> str:
        """The topic or action where it listens."""
        settings = self.command.settings
        return settings.action if isinstance(settings, GripperSettings) else self.command.topic


def parse_command(value: Any, where: str, stroke_rad: Sequence[tuple[float, float]], period_s: float) -> CommandSpec:
    """Check a group's command.

    Args:
        value: Its plain data.
        where: Name of the place.
        stroke_rad: Position limits of the group's joints.
        period_s: Control period.

    Raises:
        LearnedArmError: Unknown adapter or key, value out of range, a gripper's action for several joints.
    """
    section = checked.Section(value, where)
    adapter = section.take("adapter", checked.choice(*ADAPTERS))
    if adapter == "in_vector":
        spec = CommandSpec(adapter, of=section.take("of", checked.text))
    elif adapter in ACTIONS:
        if len(stroke_rad) != 1:
            raise LearnedArmError("a gripper's action moves one joint", where=where, got=len(stroke_rad), allowed="1")
        spec = CommandSpec(adapter, settings=_gripper(section, adapter, stroke_rad[0]))
    else:
        topic, several = section.take("topic", checked.topic), adapter != "joint_single_command"
        if not several and len(stroke_rad) != 1:
            raise LearnedArmError("a single command moves one joint", where=where, got=len(stroke_rad), allowed="1")
        joints = section.take("joints", checked.list_of(checked.text), default=()) if several else ()
        spec = CommandSpec(adapter, topic, joints, settings=_settings(section, adapter, period_s))
    section.done()
    return spec


def _gripper(section: checked.Section, adapter: str, stroke_rad: tuple[float, float]) -> GripperSettings:
    stroke, franka = stroke_rad[1] - stroke_rad[0], adapter == "franka_gripper"
    action = section.take("action", checked.topic)
    # An effort of 0 means nothing at all to some drivers and no limit to others, so that it must be said.
    effort = {"default": None} if adapter == "parallel_gripper_command" else {}
    return GripperSettings(
        action=action,
        max_effort=section.take("max_effort", _POSITIVE, **effort),
        deadband_rad=section.take("deadband_rad", checked.number(0.0, stroke / 2), default=_DEADBAND_SHARE * stroke),
        goal_rate_hz=section.take(
            "goal_rate_hz",
            checked.number(0.0, _FASTEST_GOAL_RATE_HZ, open_low=True),
            default=_FRANKA_GOAL_RATE_HZ if franka else _GOAL_RATE_HZ,
        ),
        speed_m_s=section.take("speed_m_s", _POSITIVE, default=_FRANKA_M_S) if franka else None,
        turn_rad=section.take("turn_rad", checked.number(0.0, stroke / 2), default=_FRANKA_TURN_SHARE * stroke)
        if franka
        else None,
    )


def _settings(section: checked.Section, adapter: str, period_s: float) -> Settings | None:
    if adapter in NAMED:
        return NamedSettings(
            name=section.take("name", checked.text), scale=section.take("scale", _POSITIVE, default=1.0)
        )
    if adapter == "forward_velocity":
        return VelocitySettings(
            gain_per_s=section.take("gain_per_s", checked.number(0.0, _LARGEST_GAIN_PER_S), default=_GAIN_PER_S),
            correction_rad_s=section.take("correction_rad_s", _POSITIVE, default=_CORRECTION_RAD_S),
        )
    if adapter == "joint_trajectory":
        # A point that is reached before the next one comes would make the arm stop at every tick.
        shortest_s = min(period_s, LONGEST_TIME_FROM_START_S)
        return TrajectorySettings(
            time_from_start_s=section.take(
                "time_from_start_s",
                checked.number(shortest_s, LONGEST_TIME_FROM_START_S),
                default=min(_TIME_FROM_START_PERIODS * period_s, LONGEST_TIME_FROM_START_S),
            ),
            velocities=section.take("velocities", checked.boolean, default=False),
        )
    return None


def resolve_vectors(
    joints: Mapping[str, tuple[str, ...]], commands: Mapping[str, CommandSpec], where: str
) -> dict[str, CommandSpec]:
    """Write into each owner's command which joints its controller takes, where that is more than its own in order.

    Args:
        joints: Those of each group, in the order of the groups.
        commands: That of each group.
        where: Name of the place.

    Raises:
        LearnedArmError: A group travels with one that owns no vector, or a controller's joints are not those of its
            groups, each once.
    """
    riders: dict[str, list[str]] = {}
    for group in joints:
        spec = commands[group]
        if spec.adapter != "in_vector":
            continue
        owners = [name for name, each in commands.items() if each.adapter in ON_TOPICS]
        if spec.of not in owners:
            raise LearnedArmError(
                "no group with a vector", where=f"{where}.{group}.command.of", got=spec.of, allowed=owners
            )
        riders.setdefault(spec.of, []).append(group)
    resolved = {}
    for group, spec in commands.items():
        taken = tuple(joint for name in (group, *riders.get(group, ())) for joint in joints[name])
        if spec.joints and sorted(spec.joints) != sorted(taken):
            at = f"{where}.{group}.command.joints"
            raise LearnedArmError("not every joint once", where=at, got=list(spec.joints), allowed=list(taken))
        order = spec.joints or taken
        resolved[group] = replace(spec, joints=() if order == joints[group] else order)
    return resolved


def controllers(joints: Mapping[str, tuple[str, ...]], commands: Mapping[str, CommandSpec]) -> tuple[Controller, ...]:
    """The controllers of resolved commands, in the order of the groups that own them."""
    place = {joint: index for index, joint in enumerate(joint for each in joints.values() for joint in each)}
    found = []
    for group, spec in commands.items():
        if spec.adapter != "in_vector":
            riders = tuple(name for name, each in commands.items() if each.of == group)
            taken = spec.joints or joints[group]
            found.append(Controller((group, *riders), taken, tuple(place[joint] for joint in taken), spec))
    return tuple(found)


def timeout_warnings(robot_controllers: Sequence[Controller]) -> list[str]:
    """One sentence for each controller that goes on with its last command for ever when no other comes."""
    found = []
    for each in robot_controllers:
        at = f"{', '.join(each.groups)} at {each.endpoint}"
        if each.command.adapter in ("forward_position", *NAMED):
            found.append(
                f"{at}: a {each.command.adapter} controller has no timeout and holds the last command when this node "
                "dies; a joint_trajectory controller ends with its short trajectory"
            )
        elif each.command.adapter == "forward_velocity":
            found.append(
                f"{at}: DANGER, a forward_velocity controller has no timeout: if this node is killed or cut off while "
                "the arm moves, THE ARM RUNS ON AT ITS LAST SPEED until the driver or a person stops it; this node "
                "sends zero at every stop and at its own end, but it cannot when it is killed"
            )
    return found


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}

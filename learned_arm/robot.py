"""What an arm is: joint groups in their fixed order, limits, command adapters, driver; YAML, checked whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.clearance import Clearance, ClearanceSpec, parse_clearance
from learned_arm.command_spec import CommandSpec, Controller, controllers, parse_command, resolve_vectors
from learned_arm.driver import Driver, MoveIt, parse_driver, parse_moveit
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import Kinematics, parse_kinematics
from learned_arm.signs import Sign, parse_signs

_ANGLE = checked.number(-1e3, 1e3)
_POSITIVE = checked.number(0.0, 1e6, open_low=True)


# Of a turning and of a sliding joint.
UNITS = ("rad", "m")
# Of a Robotiq 2F-85, for which the thresholds of grippers were found.
_STROKE_RAD = 0.8
_RATES = ("velocity", "acceleration", "jerk", "step_from_measured")


@dataclass(frozen=True)
class Limits:
    """Limits of a joint group, one entry a joint; of a group whose unit is m (sliding joints), m for rad.

    Attributes:
        position_rad: Lowest and highest position.
        velocity_rad_s: Largest speed.
        acceleration_rad_s2: Largest acceleration, also the braking that a hold uses.
        jerk_rad_s3: Largest jerk, of planned moves and of every command that the other limits leave a choice.
        step_from_measured_rad: How far a command may run ahead of the measured position.
        position_margin_rad: How far commands stay inside `position_rad`; empty: not at all.
    """

    position_rad: tuple[tuple[float, float], ...]
    velocity_rad_s: tuple[float, ...]
    acceleration_rad_s2: tuple[float, ...]
    jerk_rad_s3: tuple[float, ...]
    step_from_measured_rad: tuple[float, ...]
    position_margin_rad: tuple[float, ...] = ()


@dataclass(frozen=True)
class JointGroup:
    """Joints that are commanded and limited together.

    Attributes:
        name: Its name.
        joints: Their names, in the order of every vector.
        limits: Of each joint.
        command: How they are commanded.
        unit: Of their positions: `rad`, or `m` where they slide.
    """

    name: str
    joints: tuple[str, ...]
    limits: Limits
    command: CommandSpec
    unit: str = "rad"


@dataclass(frozen=True)
class JointStateSource:
    """A topic with measured joint positions.

    Attributes:
        topic: Its name.
        max_age_s: Past which it is stale.
        prefix: What our names of its joints have before the driver's: two arms of one kind call theirs alike.
    """

    topic: str
    max_age_s: float
    prefix: str = ""

    def ours(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Our names of the driver's joints."""
        return tuple(f"{self.prefix}{name}" for name in names) if self.prefix else names


@dataclass(frozen=True)
class Robot:
    """An arm. `joints` is THE joint order: of observations, labels, commands and files."""

    name: str
    control_rate_hz: int
    joint_states: tuple[JointStateSource, ...]
    groups: tuple[JointGroup, ...]
    home_rad: tuple[float, ...]
    driver: Driver | None
    moveit: MoveIt | None
    kinematics: Kinematics | None = None
    clearance: ClearanceSpec | None = None
    signs: tuple[Sign, ...] = ()

    def __deepcopy__(self, memo: dict[int, object]) -> Robot:
        """It never changes."""
        return self

    @cached_property
    def joints(self) -> tuple[str, ...]:
        """Names of all joints, group after group."""
        return tuple(joint for group in self.groups for joint in group.joints)

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.joints)

    @property
    def control_period_ns(self) -> int:
        """One control tick."""
        return round(1e9 / self.control_rate_hz)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each group lies in a vector in joint order."""
        found, start = {}, 0
        for group in self.groups:
            found[group.name] = slice(start, start + len(group.joints))
            start += len(group.joints)
        return found

    @cached_property
    def controllers(self) -> tuple[Controller, ...]:
        """The controllers that take commands: one a group, but where groups share one vector."""
        joints = {group.name: group.joints for group in self.groups}
        return controllers(joints, {group.name: group.command for group in self.groups})

    def limit(self, name: str) -> NDArray[np.float64]:
        """One limit of all joints in joint order, by its attribute name in `Limits`.

        Returns:
            Shape (dof,), or (dof, 2) for `position_rad`.
        """
        rows = [getattr(group.limits, name) or (0.0,) * len(group.joints) for group in self.groups]
        return np.array([entry for row in rows for entry in row], dtype=np.float64)

    @cached_property
    def per_rad(self) -> NDArray[np.float64]:
        """What stands for a radian in each joint's unit, shape (dof,), where something is small or large by a rule.

        1 of a joint that turns. A joint that slides is a finger: its whole stroke stands for that of a gripper that
        turns, 0.8 rad.
        """
        low, high = self.limit("position_rad").T
        slides = np.array([group.unit == "m" for group in self.groups for _ in group.joints])
        return np.where(slides, (high - low) / _STROKE_RAD, 1.0)

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file."""
        groups = {
            group.name: {
                **({} if group.unit == "rad" else {"unit": group.unit}),
                "joints": list(group.joints),
                "limits": _limits_as_data(group.limits, group.unit),
                "command": group.command.canonical(),
            }
            for group in self.groups
        }
        canonical: dict[str, Any] = {
            "robot": self.name,
            "control_rate_hz": self.control_rate_hz,
            "joint_states": [
                {"topic": each.topic, "max_age_s": each.max_age_s, **({"prefix": each.prefix} if each.prefix else {})}
                for each in self.joint_states
            ],
            "group_order": [group.name for group in self.groups],
            "groups": groups,
        }
        for group in self.groups:
            at = list(self.home_rad[self.slices[group.name]])
            canonical.setdefault(f"home_{group.unit}", {})[group.name] = at
        if self.kinematics is not None:
            canonical["kinematics"] = self.kinematics.canonical()
        if self.clearance is not None:
            canonical["clearance"] = self.clearance.canonical()
        if self.driver is not None:
            canonical["driver"] = self.driver.canonical()
        if self.moveit is not None:
            canonical["moveit"] = self.moveit.canonical()
        if self.signs:
            canonical["signs"] = [sign.canonical() for sign in self.signs]
        return canonical


def load_robot(name_or_path: str | Path) -> Robot:
    """Load a robot by the name of a shipped file or by path.

    Raises:
        LearnedArmError: The file is missing or any entry is wrong.
    """
    value, where = checked.load_yaml(name_or_path, "robots")
    return parse_robot(value, where)


def parse_robot(value: Any, where: str) -> Robot:
    """Check a robot's plain data whole.

    Raises:
        LearnedArmError: Unknown key, wrong length, duplicate joint, non-finite or reversed limit.
    """
    top = checked.Section(value, where)
    name = top.take("robot", checked.name)
    control_rate_hz = top.take("control_rate_hz", checked.integer(1, 2000))
    joint_states = top.take("joint_states", checked.list_of(_joint_state_source))
    checked.unlike([each.topic for each in joint_states], "two joint states on one topic", f"{where}.joint_states")
    section = top.section("groups")
    groups_by_name = {
        checked.name(key, section.where): _group(key, each, f"{section.where}.{key}", 1.0 / control_rate_hz)
        for key, each in section.items()
    }
    if not groups_by_name:
        raise LearnedArmError("no joint group", where=section.where, allowed="at least one group")
    # Canonical JSON sorts keys, so the order of the groups travels beside them.
    order = top.take("group_order", checked.list_of(checked.choice(*groups_by_name)), default=tuple(groups_by_name))
    if sorted(order) != sorted(groups_by_name):
        raise LearnedArmError(
            "not every group once", where=f"{where}.group_order", got=order, allowed=list(groups_by_name)
        )
    groups = tuple(groups_by_name[key] for key in order)
    checked.unlike([joint for group in groups for joint in group.joints], "duplicate joint", section.where)
    commands = resolve_vectors(
        {group.name: group.joints for group in groups}, {group.name: group.command for group in groups}, section.where
    )
    groups = tuple(replace(group, command=commands[group.name]) for group in groups)
    homes = {unit: top.section(f"home_{unit}") for unit in dict.fromkeys(group.unit for group in groups)}
    home_rad: list[float] = []
    for group in groups:
        home = homes[group.unit]
        values = home.take(group.name, checked.list_of(_ANGLE))
        _same_length(values, group.joints, f"{home.where}.{group.name}")
        margins = group.limits.position_margin_rad or (0.0,) * len(values)
        for joint, at, (low, high), margin in zip(
            group.joints, values, group.limits.position_rad, margins, strict=True
        ):
            if not low + margin <= at <= high - margin:
                allowed = f"[{low + margin}, {high - margin}]"
                raise LearnedArmError(f"{joint} outside its limits", where=home.where, got=at, allowed=allowed)
        home_rad.extend(values)
    for home in homes.values():
        home.done()
    driver = top.take("driver", parse_driver, default=None)
    moveit = top.take("moveit", parse_moveit, default=None)
    joints = [joint for group in groups for joint in group.joints]
    kinematics = top.take("kinematics", lambda given, place: parse_kinematics(given, place, joints), default=None)
    links = kinematics.links if kinematics is not None else ()
    clearance = top.take("clearance", lambda given, place: parse_clearance(given, place, links), default=None)
    signs = top.take("signs", parse_signs, default=())
    top.done()
    robot = Robot(
        name, control_rate_hz, joint_states, groups, tuple(home_rad), driver, moveit, kinematics, clearance, signs
    )
    endpoints = [controller.endpoint for controller in robot.controllers]
    checked.unlike(endpoints, "two groups commanded on one topic", section.where)
    _require_room_at_home(robot, where)
    return robot


def _require_room_at_home(robot: Robot, where: str) -> None:
    if robot.kinematics is None or robot.clearance is None:
        return
    violated = Clearance(robot.clearance, robot.kinematics, robot.joints).violated(np.array(robot.home_rad))
    if violated:
        raise LearnedArmError("home too close", where=f"{where}.home_rad", got=list(violated), allowed="room at home")


def _limits_as_data(limits: Limits, unit: str) -> dict[str, Any]:
    keys = _limit_keys(unit)
    found: dict[str, Any] = {keys["position"]: [list(pair) for pair in limits.position_rad]}
    found |= {keys[each]: list(getattr(limits, _limit_keys("rad")[each])) for each in _RATES}
    if any(limits.position_margin_rad):
        found[keys["position_margin"]] = list(limits.position_margin_rad)
    return found


def _limit_keys(unit: str) -> dict[str, str]:
    """Quantity to its key in a group of a unit."""
    powers = {"velocity": "_s", "acceleration": "_s2", "jerk": "_s3"}
    quantities = ("position", "position_margin", *_RATES)
    return {each: f"{each}_{unit}{powers.get(each, '')}" for each in quantities}


def _joint_state_source(value: Any, where: str) -> JointStateSource:
    section = checked.Section(value, where)
    source = JointStateSource(
        topic=section.take("topic", checked.topic),
        max_age_s=section.take("max_age_s", checked.number(0.0, 60.0, open_low=True)),
        prefix=section.take("prefix", checked.text, default=""),
    )
    section.done()
    return source


def _group(name: str, value: Any, where: str, period_s: float) -> JointGroup:
    section = checked.Section(value, where)
    unit = section.take("unit", checked.choice(*UNITS), default="rad")
    joints = section.take("joints", checked.list_of(checked.text))
    limits, keys = section.section("limits"), _limit_keys(unit)
    position = limits.take(keys["position"], checked.list_of(_interval))
    rates = {each: limits.take(keys[each], checked.list_of(_POSITIVE)) for each in _RATES}
    margins = limits.take(keys["position_margin"], checked.list_of(checked.number(0.0, 1e3)), default=())
    limits.done()
    for each, values in {"position": position, **rates}.items():
        _same_length(values, joints, f"{limits.where}.{keys[each]}")
    if margins:
        _same_length(margins, joints, f"{limits.where}.{keys['position_margin']}")
        for margin, (low, high) in zip(margins, position, strict=True):
            if not 2 * margin < high - low:
                allowed = f"less than half of [{low}, {high}]"
                raise LearnedArmError("margins leave no room", where=limits.where, got=margin, allowed=allowed)
    spec = section.take("command", lambda value, at: parse_command(value, at, position, period_s))
    section.done()
    plain = {_limit_keys("rad")[each]: values for each, values in rates.items()}
    return JointGroup(name, joints, Limits(position_rad=position, **plain, position_margin_rad=margins), spec, unit)


def _interval(value: Any, where: str) -> tuple[float, float]:
    values = checked.list_of(_ANGLE)(value, where)
    if len(values) != 2 or not values[0] < values[1]:
        raise LearnedArmError("not an interval", where=where, got=list(values), allowed="[low, high] with low < high")
    return values[0], values[1]


def _same_length(values: tuple[Any, ...], joints: tuple[str, ...], where: str) -> None:
    if len(values) != len(joints):
        raise LearnedArmError("wrong length", where=where, got=len(values), allowed=f"{len(joints)}, one a joint")

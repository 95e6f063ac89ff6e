"""The seeded faults: what each does to the labels, to the arm or to the world, and the causes that name it rightly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.demonstrate import Demonstration
from demo_tools.replay.diagnosis import Cause
from demo_tools.replay.player import Manner
from demo_tools.simulation import kinematics
from demo_tools.simulation.kinematics import ARM_JOINTS
from demo_tools.simulation.scene import GRIPPER_JOINT
from demo_tools.simulation.things import CubePose
from learned_arm.command_spec import Controller
from learned_arm.commander import Command, Commander
from learned_arm.contract import Contract

Array = NDArray[np.float64]
TWO_DEGREES_RAD = np.radians(2.0)


class FaultyArm(DirectArm):
    """A simulated arm behind its door that can be made to misbehave.

    Attributes:
        delay: Control ticks by which commands come late.
        aside_rad: What is added to what goes to a controller, by place.
        limits: Changes of the robot's limits by name, as factors.
        cube_moved_m: By how much the cube or the socket is moved after every `restore`, x and y.
        cube_turned_rad: By how much it is turned.
    """

    def __init__(self, contract: Contract) -> None:
        self.delay = 0
        self.aside_rad: dict[int, float] = {}
        self.limits: dict[str, float] = {}
        self.cube_moved_m = (0.0, 0.0)
        self.cube_turned_rad = 0.0
        self._waiting: dict[str, deque[Command]] = {}
        super().__init__(contract)

    def restore(self, state: Any) -> None:
        """As `DirectArm.restore`, then the world is spoiled."""
        super().restore(state)
        cube = self.simulation.cube
        half_rad = self.cube_turned_rad / 2
        cos, sin = np.cos(half_rad), np.sin(half_rad)
        w, x, y, z = cube.quaternion
        turned = np.array([cos * w - sin * z, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w])
        self.simulation.put_cube(CubePose(cube.position_m + np.array([*self.cube_moved_m, 0.0]), turned))

    @property
    def told_rad(self) -> Array:
        """What the door sent last, rad, shape (dof,); where it sent nothing, where the arm is."""
        sent = (each.sent_rad for each in reversed(self.commands) if each.sent_rad is not None)
        return next(sent, self.position_rad)

    def _begin(self) -> None:
        super()._begin()
        self._waiting = {}
        if self.limits:
            self.commander = Commander(_limited(self.contract, self.limits).robot)

    def _send(self, controller: Controller, command: Command) -> None:
        waiting = self._waiting.setdefault(controller.groups[0], deque())
        waiting.append(command)
        if len(waiting) <= self.delay:
            return
        due = waiting.popleft()
        if self.aside_rad and due.sent_rad is not None:
            sent_rad = due.sent_rad.copy()
            for place, aside_rad in self.aside_rad.items():
                sent_rad[place] += aside_rad
            due = replace(due, sent_rad=sent_rad)
        super()._send(controller, due)


@dataclass(frozen=True)
class Fault:
    """One way in which a replay can go wrong.

    Attributes:
        name: A word for the table.
        causes: Findings that name it rightly; empty where nothing is wrong.
        labels: Makes the labels of a demonstration, by default what was sent.
        arm: Spoils an arm before the replay.
        manner: How labels are played.
        representation: Another representation of the labels than the contract's.
        shown_with: Factors on the limits while it was recorded.
    """

    name: str
    causes: tuple[Cause, ...]
    labels: Callable[[Demonstration, Contract], EpisodeTicks] | None = None
    arm: Callable[[FaultyArm], None] | None = None
    manner: Manner | None = None
    representation: str = ""
    shown_with: tuple[tuple[str, float], ...] = ()

    def contract(self, base: Contract) -> Contract:
        """The contract that it is replayed under."""
        value = base.canonical()
        if self.representation:
            value["action"]["representation"] = self.representation
        return Contract.from_canonical(value)


def _limited(contract: Contract, factors: dict[str, float]) -> Contract:
    value = contract.canonical()
    for group in value["robot"]["groups"].values():
        for name, factor in factors.items():
            group["limits"][name] = (np.array(group["limits"][name]) * factor).tolist()
    return Contract.from_canonical(value)


def _place(contract: Contract, joint: str) -> int:
    return contract.robot.joints.index(joint)


# -- labels ------------------------------------------------------------------------------------------------------------


def _changed(change: Callable[[Array, Contract], Array]) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def labels(shown: Demonstration, contract: Contract) -> EpisodeTicks:
        return replace(shown.ticks, targets=change(shown.ticks.targets.copy(), contract))

    return labels


def _offset(joint: str, by_rad: float) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def change(targets: Array, contract: Contract) -> Array:
        targets[:, _place(contract, joint)] += by_rad
        return targets

    return _changed(change)


def _swapped(one: str, two: str) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def change(targets: Array, contract: Contract) -> Array:
        places = [_place(contract, one), _place(contract, two)]
        targets[:, places] = targets[:, places[::-1]]
        return targets

    return _changed(change)


def _flipped(joint: str) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def change(targets: Array, contract: Contract) -> Array:
        place = _place(contract, joint)
        targets[:, place] = 2 * targets[0, place] - targets[:, place]
        return targets

    return _changed(change)


def _scaled(factor: float) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def change(targets: Array, contract: Contract) -> Array:
        arm = [_place(contract, joint) for joint in ARM_JOINTS]
        targets[:, arm] = targets[0, arm] + factor * (targets[:, arm] - targets[0, arm])
        return targets

    return _changed(change)


def _paced(rate: float) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def labels(shown: Demonstration, _contract: Contract) -> EpisodeTicks:
        ticks = shown.ticks
        at = np.minimum(np.arange(int(len(ticks) / rate)) * rate, len(ticks) - 1)
        lower = np.floor(at).astype(int)
        upper, share = np.minimum(lower + 1, len(ticks) - 1), (at - lower)[:, None]

        def between(rows: Array) -> Array:
            return rows[lower] + share * (rows[upper] - rows[lower])

        return replace(
            ticks,
            ticks_ns=ticks.ticks_ns[0] + np.arange(len(at)) * (ticks.ticks_ns[1] - ticks.ticks_ns[0]),
            measured=between(ticks.measured),
            commanded=between(ticks.commanded),
            targets=between(ticks.targets),
            sources=ticks.sources[lower],
        )

    return labels


def _later(ticks: int, joints: tuple[str, ...]) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def change(targets: Array, contract: Contract) -> Array:
        rows = np.clip(np.arange(len(targets)) - ticks, 0, len(targets) - 1)
        places = [_place(contract, joint) for joint in joints]
        targets[:, places] = targets[rows][:, places]
        return targets

    return _changed(change)


def _cut(start: float, stop: float) -> Callable[[Demonstration, Contract], EpisodeTicks]:
    def labels(shown: Demonstration, _contract: Contract) -> EpisodeTicks:
        count = len(shown.ticks)
        return shown.ticks.part(slice(int(start * count), int(stop * count)))

    return labels


def _half_squeezed(targets: Array, contract: Contract) -> Array:
    place = _place(contract, GRIPPER_JOINT)
    targets[:, place] *= 0.65
    return targets


def _as_measured(shown: Demonstration, _contract: Contract) -> EpisodeTicks:
    following = np.concatenate([shown.ticks.measured[1:], shown.ticks.measured[-1:]])
    return replace(shown.ticks, targets=following)


def _as_requested(shown: Demonstration, _contract: Contract) -> EpisodeTicks:
    return replace(shown.ticks, targets=shown.requested_rad)


def _other_ik(targets: Array, contract: Contract) -> Array:
    """The same places of the tool by a solver that lets its orientation go: least squares on the position alone."""
    arm = [_place(contract, joint) for joint in ARM_JOINTS]
    found = targets[0, arm]
    for row in targets:
        goal = kinematics.tool0_in_base(row[arm])[:3, 3]
        for _ in range(4):
            here = kinematics.tool0_in_base(found)[:3, 3]
            nudged = [kinematics.tool0_in_base(found + step)[:3, 3] for step in np.eye(len(arm)) * 1e-5]
            jacobian = (np.stack(nudged, axis=1) - here[:, None]) / 1e-5
            found = found + np.linalg.pinv(jacobian) @ (goal - here)
        row[arm] = found
    return targets


# -- the arm and the world ---------------------------------------------------------------------------------------------


def _gains(factor: float, joints: tuple[str, ...] = ARM_JOINTS) -> Callable[[FaultyArm], None]:
    def spoil(arm: FaultyArm) -> None:
        for joint in joints:
            actuator = arm.simulation.model.actuator(joint).id
            arm.simulation.model.actuator_gainprm[actuator, 0] *= factor
            arm.simulation.model.actuator_biasprm[actuator, 1] *= factor

    return spoil


def _with(**settings: Any) -> Callable[[FaultyArm], None]:
    def spoil(arm: FaultyArm) -> None:
        for name, value in settings.items():
            setattr(arm, name, value)

    return spoil


def _aside(joint: str, by_rad: float) -> Callable[[FaultyArm], None]:
    return lambda arm: arm.aside_rad.update({_place(arm.contract, joint): float(by_rad)})


def _gripper_force(factor: float) -> Callable[[FaultyArm], None]:
    def spoil(arm: FaultyArm) -> None:
        arm.simulation.model.actuator_forcerange[arm.simulation.model.actuator(GRIPPER_JOINT).id] *= factor

    return spoil


def _slippery(arm: FaultyArm) -> None:
    model = arm.simulation.model
    for geom in map(model.geom, range(model.ngeom)):
        if geom.name in ("cube", "peg", "left_finger_pad", "right_finger_pad"):
            geom.friction[:] = (0.002, 0.0, 0.0)


_WRISTS = ("wrist_1_joint", "wrist_3_joint")
_SLOWER = (Cause.LATENCY, Cause.GAIN)
_GRIP = (Cause.GRIPPER, Cause.WORLD)
FAULTS: tuple[Fault, ...] = (
    Fault("nothing", ()),
    Fault("float16 labels", (), manner=Manner(precision="float16")),
    Fault("joint offset 2 deg", (Cause.JOINT_OFFSET,), labels=_offset("shoulder_pan_joint", TWO_DEGREES_RAD)),
    Fault("joint offset 6 deg", (Cause.JOINT_OFFSET,), labels=_offset("elbow_joint", 3 * TWO_DEGREES_RAD)),
    Fault("wrists swapped", (Cause.JOINTS_SWAPPED,), labels=_swapped(*_WRISTS)),
    Fault("shoulder and elbow swapped", (Cause.JOINTS_SWAPPED,), labels=_swapped("shoulder_lift_joint", "elbow_joint")),
    Fault("sign of the pan", (Cause.SIGN,), labels=_flipped("shoulder_pan_joint")),
    Fault("sign of a wrist", (Cause.SIGN,), labels=_flipped("wrist_1_joint")),
    Fault("scale 0.9", (Cause.SCALE,), labels=_scaled(0.9)),
    Fault("scale 1.1", (Cause.SCALE,), labels=_scaled(1.1)),
    Fault("twice the pace", (Cause.RATE,), labels=_paced(2.0)),
    Fault("half the pace", (Cause.RATE,), labels=_paced(0.5)),
    Fault("labels 150 ms late", (Cause.LABEL_TIME,), labels=_later(3, (*ARM_JOINTS, GRIPPER_JOINT))),
    Fault("arm labels 300 ms late", (Cause.LABEL_TIME,), labels=_later(6, ARM_JOINTS)),
    Fault("gripper labels 200 ms late", (Cause.GRIPPER_LABELS,), labels=_later(4, (GRIPPER_JOINT,))),
    Fault("gripper labels 600 ms early", (Cause.GRIPPER_LABELS,), labels=_later(-12, (GRIPPER_JOINT,))),
    Fault("gripper labels too wide", (Cause.GRIPPER_LABELS,), labels=_changed(_half_squeezed)),
    Fault("cut off at the end", (Cause.LABELS_CUT,), labels=_cut(0.0, 0.6)),
    Fault("cut off at the beginning", (Cause.LABELS_CUT, Cause.INITIAL_STATE), labels=_cut(0.25, 1.0)),
    Fault("measured instead of sent", (Cause.LABELS_DIFFER, Cause.LABEL_TIME), labels=_as_measured),
    Fault(
        "a clamp hidden from the labels",
        (Cause.LABELS_DIFFER, Cause.LABEL_TIME),
        labels=_as_requested,
        shown_with=(("velocity_rad_s", 0.3),),
    ),
    Fault("another IK solver", (Cause.LABELS_DIFFER,), labels=_changed(_other_ik)),
    Fault("delta against measured", (Cause.REFERENCE,), manner=Manner(against_measured=True), representation="delta"),
    Fault("gains halved", _SLOWER, arm=_gains(0.5)),
    Fault("gains a tenth", _SLOWER, arm=_gains(0.1)),
    Fault("gain of the elbow a tenth", _SLOWER, arm=_gains(0.1, ("elbow_joint",))),
    Fault("100 ms latency", (Cause.LATENCY,), arm=_with(delay=10)),
    Fault("300 ms latency", (Cause.LATENCY,), arm=_with(delay=30)),
    Fault("elbow aside by 4 deg", (Cause.ARM_OFFSET,), arm=_aside("elbow_joint", 2 * TWO_DEGREES_RAD)),
    Fault("acceleration limit a fifth", (Cause.LIMITS,), arm=_with(limits={"acceleration_rad_s2": 0.2})),
    Fault("velocity limit a tenth", (Cause.LIMITS,), arm=_with(limits={"velocity_rad_s": 0.1})),
    Fault("gripper without force", _GRIP, arm=_gripper_force(0.002)),
    Fault("object moved 3 cm", _GRIP, arm=_with(cube_moved_m=(0.0, 0.03))),
    Fault("object moved 6 cm", _GRIP, arm=_with(cube_moved_m=(0.06, 0.0))),
    Fault("object turned 45 deg", _GRIP, arm=_with(cube_turned_rad=np.pi / 4)),
    Fault("slippery object", _GRIP, arm=_slippery),
)

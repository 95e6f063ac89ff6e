"""Aligned samples -> what a policy sees: RGB images of the contract's size and the numbers of its state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm import cdr
from learned_arm.alignment import CAMERA, WRENCH, AlignedTick, Sample, stream_names
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.state import WRENCH_PARTS, ToolPoses


@dataclass(frozen=True)
class Observation:
    """What a policy sees at a tick; n is the contract's history, oldest first.

    Attributes:
        tick_ns: Tick in ROS time.
        images: Per camera, uint8, shape (n, height, width, 3), RGB.
        state: Measured joint positions in rad in the robot's joint order, then what the contract adds, float32, shape
            (n, numbers); `Contract.state_names` names them.
    """

    tick_ns: int
    images: dict[str, NDArray[np.uint8]]
    state: NDArray[np.float32]


def digest(observation: Observation) -> str:
    """SHA-256 of everything a policy sees: equal digests are bit-equal observations."""
    state = hashlib.sha256()
    for name in sorted(observation.images):
        image = observation.images[name]
        state.update(f"{name}{image.shape}".encode())
        state.update(np.ascontiguousarray(image).data)
    state.update(f"{observation.state.shape}".encode())
    state.update(np.ascontiguousarray(observation.state).data)
    return state.hexdigest()


class JointOrder:
    """Puts named values into the robot's joint order; remembers the permutation of the last message seen."""

    def __init__(self, joints: Sequence[str]) -> None:
        self.joints = tuple(joints)
        self._names: tuple[str, ...] | None = None
        self._index = np.empty(0, dtype=np.intp)
        self._in_order = False

    def positions(self, names: tuple[str, ...], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in joint order, shape (..., dof); extra joints are ignored.

        Args:
            names: Of the values along their last axis.
            values: Shape (..., len(names)).

        Raises:
            LearnedArmError: A joint is missing, named twice or not finite, or the lengths differ.
        """
        if names != self._names:
            self._index = self._permutation(names)
            self._in_order = names == self.joints
            self._names = names
        if values.shape[-1] != len(names):
            raise LearnedArmError("positions do not match joint names", got=values.shape[-1], allowed=len(names))
        ordered = values if self._in_order else values[..., self._index]
        if not np.isfinite(ordered).all():
            rows = ordered.reshape(-1, len(self.joints))
            bad = [name for name, column in zip(self.joints, rows.T, strict=True) if not np.isfinite(column).all()]
            raise LearnedArmError("joint position not finite", got=bad, allowed="finite numbers")
        return ordered

    def _permutation(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        at = {name: index for index, name in enumerate(names)}
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise LearnedArmError("duplicate joint", got=twice, allowed="each joint once")
        missing = [name for name in self.joints if name not in at]
        if missing:
            raise LearnedArmError(f"missing joint {', '.join(missing)}", got=list(names), allowed=list(self.joints))
        return np.array([at[name] for name in self.joints], dtype=np.intp)


class ObservationBuilder:
    """Builds observations for a contract; used unchanged live, in the replay and in the dataset builder.

    Every image is decoded once, straight into the observation that shows it first; a history copies it from there. An
    observation is never written again, so that it may be used in any thread for as long as it is needed.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        names, robot = stream_names(contract), contract.robot
        self._streams = {names[source.topic]: source for source in robot.joint_states}
        self._tools: ToolPoses | None = None
        if contract.tools and robot.kinematics is not None:
            self._tools = ToolPoses(robot.kinematics, robot.joints, contract.tools)
        self._order = JointOrder(contract.robot.joints)
        self._measured: tuple[AlignedTick, NDArray[np.float64]] | None = None
        self._decoded: dict[str, list[tuple[Sample, NDArray[np.uint8]]]] = {name: [] for name in contract.cameras}

    def build(self, ticks: Sequence[AlignedTick]) -> Observation:
        """Build the observation of the last tick from as many ticks as the history asks for.

        Args:
            ticks: `contract.history` aligned ticks, oldest first.

        Raises:
            LearnedArmError: An image or a joint state cannot be used; nothing is filled in.
        """
        if len(ticks) != self.contract.history:
            raise LearnedArmError("wrong length of history", got=len(ticks), allowed=self.contract.history)
        images = {
            name: self._frames(name, [tick.samples[f"{CAMERA}:{name}"] for tick in ticks])
            for name in self.contract.cameras
        }
        state = np.array([self.state(tick) for tick in ticks], np.float32)
        return Observation(ticks[-1].tick_ns, images, state)

    def _frames(self, camera: str, samples: Sequence[Sample]) -> NDArray[np.uint8]:
        """The frames of some samples, uint8, shape (n, height, width, 3), read-only."""
        spec, known = self.contract.cameras[camera], self._decoded[camera]
        frames = np.empty((len(samples), *spec.size, 3), np.uint8)
        for sample, frame in zip(samples, frames, strict=True):
            former = next((each for known_sample, each in known if known_sample is sample), None)
            if former is None:
                spec.picture(sample.raw, frame)
            else:
                frame[:] = former
        frames.flags.writeable = False
        self._decoded[camera] = list(zip(samples, frames, strict=True))
        return frames

    def state(self, tick: AlignedTick) -> NDArray[np.float64]:
        """The numbers of the state at a tick, shape (numbers,).

        Raises:
            LearnedArmError: A joint state or a wrench cannot be used.
        """
        measured = self.measured(tick)
        if self._tools is None and not self.contract.wrenches:
            return measured
        tools = [] if self._tools is None else [self._tools.at(measured[None])[0]]
        wrenches = [_wrench(name, tick.samples[f"{WRENCH}:{name}"]) for name in self.contract.wrenches]
        return np.concatenate([measured, *tools, *wrenches])

    def measured(self, tick: AlignedTick) -> NDArray[np.float64]:
        """Measured joint positions at a tick in joint order, rad, shape (dof,).

        Raises:
            LearnedArmError: A joint is missing, named twice or not finite.
        """
        if self._measured is not None and self._measured[0] is tick:
            return self._measured[1]
        names: tuple[str, ...] = ()
        positions: list[NDArray[np.float64]] = []
        for stream, source in self._streams.items():
            view = cdr.read_joint_state(tick.samples[stream].raw)
            if len(view.position) != len(view.names):
                raise LearnedArmError(
                    "positions do not match joint names", where=stream, got=len(view.position), allowed=len(view.names)
                )
            names += source.ours(view.names)
            positions.append(view.position)
        measured = self._order.positions(names, positions[0] if len(positions) == 1 else np.concatenate(positions))
        measured.flags.writeable = False
        self._measured = tick, measured
        return measured


def _wrench(name: str, sample: Sample) -> NDArray[np.float64]:
    wrench = cdr.read_wrench(sample.raw)
    if not np.isfinite(wrench).all():
        bad = [part for part, value in zip(WRENCH_PARTS, wrench, strict=True) if not np.isfinite(value)]
        raise LearnedArmError("wrench not finite", where=f"{WRENCH}:{name}", got=bad, allowed="finite numbers")
    return wrench

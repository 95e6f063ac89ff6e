"""A simulated arm behind its door, in one process; tick by tick as `arm_node` and `sim_arm_node` do it in lock-step.

What a source asks for goes through the same `Commander` and comes to the same controllers of the same physics, in the
same order, so that a replay here goes as one over DDS goes, many times as fast.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.arm import ArmSimulation, KeptSimulation
from demo_tools.simulation.commanded import require_answers
from learned_arm.cdr import JointStateView, TrajectoryView
from learned_arm.command_spec import Controller, TrajectorySettings, VelocitySettings
from learned_arm.commander import Command, Commander
from learned_arm.contract import Contract
from learned_arm.timeline import Timeline
from learned_arm.velocity_law import VelocityLaw

_SECOND_NS = 1_000_000_000
_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Kept:
    """A moment of arm and door."""

    simulation: KeptSimulation
    door: tuple[Commander, dict[str, VelocityLaw]]


class DirectArm:
    """Arm, door and clock; advances a tick of the contract at a time.

    Attributes:
        simulation: The arm.
        commander: The door.
        commands: What the door gave at every control tick since the last `restore` or `reset`.

    Args:
        contract: Robot and task.

    Raises:
        LearnedArmError: Another robot than the simulated one, a tick that is no control tick, or a controller that
            the simulation does not have.
    """

    def __init__(self, contract: Contract) -> None:
        robot = contract.robot
        contract.require_control_ticks("in lock-step every tick is a control tick")
        self.contract = contract
        require_answers(robot)
        self.simulation = ArmSimulation(contract)
        self._speeds = {
            each.groups[0]: VelocityLaw(robot.limit("velocity_rad_s")[list(each.places)], each.command.settings)
            for each in robot.controllers
            if isinstance(each.command.settings, VelocitySettings)
        }
        self._begin()

    @property
    def now_ns(self) -> int:
        """The time, on the contract's grid."""
        return self.simulation.now_ns

    @property
    def position_rad(self) -> NDArray[np.float64]:
        """Measured joints now, shape (dof,)."""
        return self.simulation.position_rad

    def reset(self, seed: int) -> None:
        """Go to the initial state of a seed, with a door that was never engaged."""
        self.simulation.reset(seed)
        self._begin()

    def restore(self, state: Sequence[float] | NDArray[np.float64]) -> None:
        """Go to a recorded state, with a door that was never engaged.

        Raises:
            LearnedArmError: It is no state of this simulation.
        """
        self.simulation.restore(state)
        self._begin()

    def keep(self) -> Kept:
        """Everything as it is now, door included."""
        return Kept(self.simulation.keep(), copy.deepcopy((self.commander, self._speeds)))

    def go_back(self, kept: Kept) -> None:
        """Make everything what it was; the time too."""
        self.simulation.go_back(kept.simulation)
        self.commander, self._speeds = copy.deepcopy(kept.door)

    def engage(self, source: str) -> None:
        """Give a source the lease.

        Raises:
            LearnedArmError: The door refuses.
        """
        self.commander.engage(source, self.now_ns)

    def advance(self, source: str = "", timeline: Timeline | None = None) -> None:
        """Let one tick pass, at whose beginning a source sends a timeline; None holds.

        Raises:
            LearnedArmError: The door refused the targets.
        """
        robot, tick_ns = self.contract.robot, self.now_ns
        for _ in range(self.contract.period_ns // robot.control_period_ns):
            now_ns = self.now_ns
            position, speed = self.simulation.position_rad, self.simulation.velocity_rad_s
            self.commander.measure(JointStateView(now_ns, robot.joints, position, speed, _NOTHING), now_ns)
            if now_ns == tick_ns and source:
                self.commander.targets(source, _view(tick_ns, robot.joints, timeline), now_ns)
            command = self.commander.step(now_ns)
            self.commands.append(command)
            for controller in robot.controllers if command.sent_rad is not None else ():
                self._send(controller, command)
            self.simulation.step(robot.control_period_ns)

    def _begin(self) -> None:
        self.simulation.skip_to((self.simulation.now_ns // _SECOND_NS + 1) * _SECOND_NS)
        self.commander = Commander(self.contract.robot)
        self.commands: list[Command] = []

    def _send(self, controller: Controller, command: Command) -> None:
        """What the door's adapter for this controller publishes, and the controller takes."""
        assert command.sent_rad is not None
        places, group, settings = np.array(controller.places), controller.groups[0], controller.command.settings
        sent_rad, speed = command.sent_rad[places], command.speed_rad_s
        if isinstance(settings, TrajectorySettings):
            ahead_ns = round(settings.time_from_start_s * _SECOND_NS)
            speeds = speed[None, places] if settings.velocities and speed is not None else None
            self.simulation.set_trajectory(group, controller.joints, 0, [ahead_ns], sent_rad[None], speeds)
        elif group in self._speeds:
            self.simulation.set_speeds(group, self._speeds[group].follow(command, places))
        else:
            self.simulation.set_position_targets(group, sent_rad)


def _view(tick_ns: int, joints: tuple[str, ...], timeline: Timeline | None) -> TrajectoryView:
    if timeline is None:
        return TrajectoryView(tick_ns, joints, np.empty(0, np.int64), np.empty((0, len(joints))))
    return TrajectoryView(tick_ns, joints, timeline.stamps_ns - tick_ns, timeline.positions_rad)

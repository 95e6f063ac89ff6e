"""The simulated arm together with its publishers: what lock-step and real time both drive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from demo_tools.simulation.arm import ArmSimulation
from demo_tools.simulation.cameras import CameraRig
from demo_tools.simulation.kinematics import ARM_JOINTS
from demo_tools.simulation.posed_arm import PosedArm
from demo_tools.simulation.publishers import ArmPublishers
from demo_tools.simulation.scene import GRIPPER_JOINT
from demo_tools.simulation.things import Sight
from learned_arm.contract import Contract
from learned_arm.ros import messages


def simulated(contract: Contract, controllers: Mapping[str, str] | None = None) -> ArmSimulation | PosedArm:
    """The simulation of a contract's robot: the UR5e with its gripper has physics, any other one follows and is seen.

    Raises:
        LearnedArmError: It cannot be simulated.
    """
    with_physics = sorted(contract.robot.joints) == sorted((*ARM_JOINTS, GRIPPER_JOINT))
    return (ArmSimulation if with_physics else PosedArm)(contract, controllers)


class World:
    """A simulation and the topics that show it.

    Attributes:
        contract: Robot and task.
        arm: The simulation.
        lock: Guards the simulation where threads share it.
        control_ns: Control period.
    """

    def __init__(self, node: Node, contract: Contract, controllers: Mapping[str, str]) -> None:
        contract.require_control_ticks("the simulation shows itself at control ticks")
        self.contract = contract
        self.arm = simulated(contract, controllers)
        self.lock = threading.Lock()
        self.control_ns = contract.robot.control_period_ns
        self._look: Callable[[], Sight] = self.arm.sight
        self._out = ArmPublishers(node, contract, self.arm.model, self.arm.description)

    def reset(self, seed: int, state: Sequence[float] | NDArray[np.float64], decoy_seed: int) -> None:
        """Go to a state if one is given, else to a seed's initial state; seeds below 0 are none.

        Raises:
            LearnedArmError: The state is not one of this simulation; nothing has changed then.
        """
        if len(state):
            self.arm.restore(state)
        else:
            self.arm.reset(max(seed, 0))
        self._look = self.arm.showing(decoy_seed) if decoy_seed >= 0 else self.arm.sight

    @property
    def on_tick(self) -> bool:
        """Whether the contract has a tick now."""
        return self.arm.now_ns % self.contract.period_ns == 0

    def publish_task(self) -> None:
        """Publish verdict, cube and state as of now."""
        stamp = messages.time_message(self.arm.now_ns)
        self._out.task(stamp, self.arm.judge.now, self.arm.cube, self.arm.state())

    def sight(self) -> Sight:
        """What the cameras have before them now."""
        return self._look()

    def publish_images(self, rig: CameraRig, stamp_ns: int, sight: Sight) -> None:
        """Draw and publish what the cameras see."""
        stamp = messages.time_message(stamp_ns)
        for name, publisher in self._out.cameras.items():
            publisher.publish(stamp, rig.draw(name, sight))

    def publish_joints(self) -> None:
        """Publish measured joints as of now."""
        stamp = messages.time_message(self.arm.now_ns)
        self._out.joint_state(stamp, self.arm.position_rad, self.arm.velocity_rad_s)

    def publish_clock(self) -> None:
        """Publish the time."""
        self._out.clock(messages.time_message(self.arm.now_ns))

from collections.abc import Callable

import numpy as np
import pytest

from demo_tools.simulation.arm import ArmSimulation
from demo_tools.simulation.expert import ScriptedExpert
from learned_arm.contract import Contract, load_contract
from learned_arm.safety import SafetyFilter


@pytest.fixture(scope="session")
def pick() -> Contract:
    return load_contract("pick_cube")


@pytest.fixture
def play() -> Callable[[Contract, int], tuple[ArmSimulation, set[str]]]:
    """Lets the expert play a seed's episode in process, targets joined by straight lines."""

    def play(contract: Contract, seed: int) -> tuple[ArmSimulation, set[str]]:
        robot = contract.robot
        arm, safety, clamps = ArmSimulation(contract), SafetyFilter(robot), set[str]()
        arm.reset(seed)
        expert = ScriptedExpert(contract)
        expert.start(arm.now_ns, arm.position_rad, arm.cube)
        safety.start(arm.position_rad)
        before, steps = arm.position_rad, contract.period_ns // robot.control_period_ns
        settle = 5
        while settle:
            settle -= expert.done(arm.now_ns)
            target = expert.step(arm.now_ns)
            for step in range(steps):
                command = before + (target - before) * step / steps
                sent = safety.step(command, arm.position_rad, robot.control_period_ns / 1e9)
                clamps.update(sent.clamps)
                for group, place in robot.slices.items():
                    assert arm.set_position_targets(group, np.asarray(sent.sent_rad[place]))
                arm.step(robot.control_period_ns)
            before = target
        return arm, clamps

    return play

"""Training examples as if the arm stood beside where it was recorded: labels lead from there to the recorded targets.

A policy that only ever saw arms on their way learns to go on, not to come back: small errors add up until it ends
beside what it reached for. Noise on the joints that leaves the labels alone would teach to look past them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.state import ToolPoses

# Of the others a label is a step from the command, or seen from the tool: it does not say where to go.
_LEADS_BACK = ("absolute", "chunk_relative", "tool_pose")


def stand_aside(
    contract: Contract,
    state: NDArray[np.float32],
    labels: NDArray[np.float32],
    std_rad: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """States and labels of some chunks with every arm put aside by its own random displacement.

    Joints of groups that the contract keeps absolute stay, and so does everything where no label says where to go.

    Args:
        contract: Robot and task.
        state: Shape (B, history, numbers); an observation's history is displaced as one.
        labels: Shape (B, horizon, width).
        std_rad: Of the displacement; of a joint that slides, of what stands for a radian.
        rng: Draws it.
    """
    robot, action = contract.robot, contract.action
    if action.representation not in _LEADS_BACK:
        return state, labels
    std = std_rad * robot.per_rad
    for group in action.absolute_groups:
        std[robot.slices[group]] = 0.0
    aside = rng.normal(0.0, std, (len(state), robot.dof))
    state = state.copy()
    joints = state[..., : robot.dof] + aside[:, None]
    state[..., : robot.dof] = joints
    if contract.tools and robot.kinematics is not None:
        poses = ToolPoses(robot.kinematics, robot.joints, contract.tools).at(joints.reshape(-1, robot.dof))
        state[..., robot.dof : robot.dof + poses.shape[1]] = poses.reshape(*state.shape[:2], -1)
    if action.representation == "chunk_relative":
        labels = (labels - aside[:, None]).astype(np.float32)
    return state, labels

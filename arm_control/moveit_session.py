"""MoveIt for one robot, started once a process; what plans and what looks for collisions share it.

Source of the calls: moveit_py of MoveIt 2.12 (Jazzy), its bindings of moveit_cpp and robot_state, and
moveit_configs_utils. Never run with them: they are on no registry. It takes configurations as MoveIt's setup assistant
makes them.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

_NODE = "learned_arm_moveit"
# What MoveItCpp asks for besides a robot's configuration, which seldom has it (its PlanningPipelineOptions and the
# PlanRequestParameters of its PlanningComponent).
_OPTIONS = {
    "planning_pipelines": {"pipeline_names": ["ompl"]},
    "plan_request_params": {"planning_attempts": 1, "planning_pipeline": "ompl", "planning_time": 5.0},
}


def started(robot: Robot) -> Any:
    """MoveItPy with the configuration that a robot file names; it is a node, of which a process has one.

    Raises:
        LearnedArmError: The file names no configuration, or MoveIt or that configuration is not installed.
    """
    if robot.moveit is None:
        raise LearnedArmError("no MoveIt configuration", where=robot.name, allowed="moveit: in the robot file")
    package = robot.moveit.package
    try:
        return _started(package)
    except LearnedArmError:
        raise
    except Exception as error:  # the builder and the bindings raise whatever they come upon
        words = " ".join(f"{type(error).__name__}: {error}".split())
        raise LearnedArmError("MoveIt does not start", where=package, got=words, allowed="its package") from error


def place(state: Any, robot: Robot, position_rad: NDArray[np.float64]) -> None:
    """Put our joints, as far as MoveIt's state has them, where we say, shape (dof,)."""
    known = state.joint_positions
    named = dict(zip(robot.joints, position_rad.tolist(), strict=True))
    state.joint_positions = {joint: at for joint, at in named.items() if joint in known}
    state.update()


def module(name: str) -> Any:
    """A module of MoveIt.

    Raises:
        LearnedArmError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        install = "sudo apt install ros-jazzy-moveit-py ros-jazzy-moveit-configs-utils"
        raise LearnedArmError("MoveIt is not installed", got=str(error), allowed=install) from error


@cache
def _started(package: str) -> Any:
    builder = module("moveit_configs_utils").MoveItConfigsBuilder
    # What a configuration's own files are called after.
    name = package.removesuffix("_moveit_config").removeprefix("moveit_resources_")
    configuration = builder(name, package_name=package).to_moveit_configs().to_dict()
    return module("moveit.planning").MoveItPy(node_name=_NODE, config_dict={**configuration, **_OPTIONS})

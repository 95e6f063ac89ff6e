"""Messages that not every machine has: loaded only where a robot file asks for them."""

from __future__ import annotations

import importlib
from typing import Any

from learned_arm.command_spec import Controller
from learned_arm.errors import LearnedArmError

_CONTROLLER_ACTIONS = {"gripper_command": "GripperCommand", "parallel_gripper_command": "ParallelGripperCommand"}


def load_messages(module: str, where: str, wanted_by: str, install: str) -> Any:
    """A module of messages, services or actions.

    Args:
        module: Such as `control_msgs.action`.
        where: Of the entry that asks for it.
        wanted_by: The entry.
        install: What to do where it is missing.

    Raises:
        LearnedArmError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise LearnedArmError(
            f"{package} is not installed", where=where, got=wanted_by, allowed=f"install {install}"
        ) from error


def needs(controller: Controller) -> dict[str, str]:
    """Who asks for the messages of a controller's adapter, for `load_messages`."""
    return {"where": f"group {controller.groups[0]}", "wanted_by": f"adapter {controller.command.adapter}"}


def controller_action(controller: Controller) -> Any:
    """The action of a gripper controller of ros2_control, by a controller's adapter.

    Raises:
        LearnedArmError: The package of its messages is not installed.
    """
    package = load_messages("control_msgs.action", **needs(controller), install="the package ros-jazzy-control-msgs")
    return getattr(package, _CONTROLLER_ACTIONS[controller.command.adapter])

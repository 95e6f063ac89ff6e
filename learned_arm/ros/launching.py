"""What the launch files share. Imported by them alone: it needs ROS's launch, which is on no registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from launch import LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.events import matches_action
from launch.events.process import ProcessExited
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from learned_arm.ros.transport import PROFILE_VARIABLE, profile_path

PACKAGE = "learned_arm"
BOOLEAN = ["true", "false"]


def argument(
    name: str, description: str, default: str | None = None, choices: list[str] | None = None
) -> DeclareLaunchArgument:
    """A launch argument; one without a default must be given."""
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def text(name: str) -> ParameterValue:
    """An argument as a string parameter, also where it looks like a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def flag(name: str) -> ParameterValue:
    """An argument as a Boolean parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def transport() -> SetEnvironmentVariable:
    """The transport profile that images need, for every process; one that the user has set stays."""
    return SetEnvironmentVariable(
        PROFILE_VARIABLE, EnvironmentVariable(PROFILE_VARIABLE, default_value=str(profile_path()))
    )


def node(executable: str, parameters: dict[str, Any], **more: Any) -> Node:
    """A node of this package."""
    given = {"package": PACKAGE, "executable": executable, "name": executable, "output": "screen"}
    return Node(**given, parameters=[parameters], **more)


def end_with_it(reason: str) -> Callable[[ProcessExited, LaunchContext], Shutdown | None]:
    """Ends the launch with a process it cannot do without; a second end would be an error."""
    return lambda _event, context: None if context.is_shutdown else Shutdown(reason=reason)


def policy(parameters: dict[str, Any]) -> Sequence[Any]:
    """The policy node and the events that take it to active."""
    started = LifecycleNode(
        package=PACKAGE,
        executable="policy_node",
        name="policy_node",
        namespace="",
        output="screen",
        parameters=[parameters],
    )

    def change(transition: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(started), transition_id=transition))

    return [
        # Before the node, or its first transition could be missed.
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=started,
                start_state="configuring",
                goal_state="inactive",
                entities=[change(Transition.TRANSITION_ACTIVATE)],
            )
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=started,
                start_state="configuring",
                goal_state="unconfigured",
                entities=[LogInfo(msg="policy_node refused its model: see its error above")],
            )
        ),
        started,
        change(Transition.TRANSITION_CONFIGURE),
    ]

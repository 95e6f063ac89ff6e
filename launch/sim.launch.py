"""The simulated arm with its cameras, the door, the recorder, and a policy when one is named.

    ros2 launch learned_arm sim.launch.py
    ros2 launch learned_arm sim.launch.py contract:=reach_cube use_sim_time:=true model:=/path/to/policy.onnx

The policy is configured and activated here; it moves the arm once `/policy_node/engage` is called.
"""

from collections.abc import Callable

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.events.process import ProcessExited
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, NotEqualsSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from learned_arm.ros.transport import PROFILE_VARIABLE, profile_path

PACKAGE = "learned_arm"


def _argument(name: str, default: str, description: str, choices: list[str] | None = None) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)


def _text(name: str) -> ParameterValue:
    """An argument as a string parameter, also where it looks like a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def _end_with_it(reason: str) -> Callable[[ProcessExited, LaunchContext], Shutdown | None]:
    """Ends the launch with a process it cannot do without; a second end would be an error."""
    return lambda _event, context: None if context.is_shutdown else Shutdown(reason=reason)


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    common = {
        "contract": _text("contract"),
        "robot": _text("robot"),
        "use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool),
    }
    recorder = {**common, "root": _text("root")}
    return LaunchDescription(
        [
            _argument("contract", "pick_cube", "Task: name of a shipped contract or path of a YAML file."),
            _argument("robot", "", "Robot file to use instead of the one that the contract names."),
            _argument(
                "use_sim_time",
                "false",
                "true: lock-step, the simulation waits for every command and may run faster than real time; "
                "false: real time.",
                ["true", "false"],
            ),
            _argument("recorder", "true", "Whether to start the recorder node.", ["true", "false"]),
            _argument("root", "demos", "Folder for episodes; each goes to <root>/<task>/<utc>-<short id>/."),
            _argument("model", "", "Path of a policy's .onnx file; empty: no policy node."),
            # A profile that the user has set stays.
            SetEnvironmentVariable(
                PROFILE_VARIABLE, EnvironmentVariable(PROFILE_VARIABLE, default_value=str(profile_path()))
            ),
            Node(
                package=PACKAGE,
                executable="sim_arm_node",
                name="sim_arm_node",
                output="screen",
                parameters=[common],
                on_exit=_end_with_it("the simulated arm has ended"),
            ),
            Node(
                package=PACKAGE,
                executable="arm_node",
                name="arm_node",
                output="screen",
                parameters=[common],
                on_exit=_end_with_it("the door to the arm has ended"),
            ),
            Node(
                package=PACKAGE,
                executable="recorder_node",
                name="recorder_node",
                output="screen",
                parameters=[recorder],
                condition=IfCondition(LaunchConfiguration("recorder")),
            ),
            _policy(common),
        ]
    )


def _policy(common: dict[str, ParameterValue]) -> GroupAction:
    """The lifecycle node and the events that take it to active; nothing where no model is named."""
    node = LifecycleNode(
        package=PACKAGE,
        executable="policy_node",
        name="policy_node",
        namespace="",
        output="screen",
        parameters=[{**common, "model": _text("model")}],
    )

    def change(transition: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))

    return GroupAction(
        [
            # Before the node, or its first transition could be missed.
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=node,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=[change(Transition.TRANSITION_ACTIVATE)],
                )
            ),
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=node,
                    start_state="configuring",
                    goal_state="unconfigured",
                    entities=[LogInfo(msg="policy_node refused its model: see its error above")],
                )
            ),
            node,
            change(Transition.TRANSITION_CONFIGURE),
        ],
        condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration("model"), "")),
    )

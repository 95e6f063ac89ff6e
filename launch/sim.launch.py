"""The simulated arm with its cameras, the door, the recorder, and a policy when one is named.

    ros2 launch learned_arm sim.launch.py
    ros2 launch learned_arm sim.launch.py contract:=reach_cube use_sim_time:=true model:=/path/to/policy.onnx

The policy is configured and activated here; it moves the arm once `/policy_node/engage` is called.
"""

from launch import LaunchDescription
from launch.actions import GroupAction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, NotEqualsSubstitution

from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    common = {
        "contract": launching.text("contract"),
        "robot": launching.text("robot"),
        "use_sim_time": launching.flag("use_sim_time"),
    }
    argument = launching.argument
    return LaunchDescription(
        [
            argument("contract", "Task: name of a shipped contract or path of a YAML file.", "pick_cube"),
            argument("robot", "Robot file to use instead of the one that the contract names.", ""),
            argument(
                "use_sim_time",
                "true: lock-step, the simulation waits for every command and may run faster than real time; "
                "false: real time.",
                "false",
                launching.BOOLEAN,
            ),
            argument("recorder", "Whether to start the recorder node.", "true", launching.BOOLEAN),
            argument("root", "Folder for episodes; each goes to <root>/<task>/<utc>-<short id>/.", "demos"),
            argument("model", "Path of a policy's .onnx file; empty: no policy node.", ""),
            launching.transport(),
            launching.node("sim_arm_node", common, on_exit=launching.end_with_it("the simulated arm has ended")),
            launching.node("arm_node", common, on_exit=launching.end_with_it("the door to the arm has ended")),
            launching.node(
                "recorder_node",
                {**common, "root": launching.text("root")},
                condition=IfCondition(LaunchConfiguration("recorder")),
            ),
            GroupAction(
                launching.policy({**common, "model": launching.text("model")}),
                condition=IfCondition(NotEqualsSubstitution(LaunchConfiguration("model"), "")),
            ),
        ]
    )

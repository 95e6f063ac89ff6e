"""A policy, beside an arm that is up: loaded, proved by its self-test, active. It moves once `/policy_node/engage` is
called.

    ros2 launch learned_arm policy.launch.py model:=policy.onnx contract:=my_task.yaml
"""

from launch import LaunchDescription

from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    argument = launching.argument
    names = ("model", "contract", "robot", "provider")
    return LaunchDescription(
        [
            argument("model", "Path of the policy's .onnx file."),
            argument("contract", "Task: a policy for another robot or task is refused; empty: the policy's own.", ""),
            argument("robot", "Robot file to use instead of the one that the contract names.", ""),
            argument("provider", "Execution provider: cpu, cuda, tensorrt or openvino.", "cpu"),
            launching.transport(),
            *launching.policy({name: launching.text(name) for name in names}),
        ]
    )

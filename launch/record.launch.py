"""The recorder, beside an arm that is up.

    ros2 launch learned_arm record.launch.py contract:=my_task.yaml root:=demos operator:=anna

Start and end episodes with `/recorder_node/start`, `/success`, `/failure` and `/discard`, a joystick or
`ros2 run learned_arm recorder_keys`.
"""

from launch import LaunchDescription

from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    names = ("contract", "robot", "root", "operator")
    argument = launching.argument
    return LaunchDescription(
        [
            argument("contract", "Task: name of a shipped contract or path of a YAML file."),
            argument("robot", "Robot file to use instead of the one that the contract names.", ""),
            argument("root", "Folder for episodes; each goes to <root>/<task>/<utc>-<short id>/.", "demos"),
            argument("operator", "Who is in control; kept with every episode.", ""),
            launching.transport(),
            launching.node(
                "recorder_node",
                {name: launching.text(name) for name in names},
                on_exit=launching.end_with_it("the recorder has ended"),
            ),
        ]
    )

"""A person's gamepad or leader arm, beside an arm that is up.

    ros2 launch learned_arm teleop.launch.py contract:=my_task.yaml mapping:=ur5e_gamepad joy:=true

A gamepad moves the arm while its button is held. A leader arm leads once `/teleop_node/engage` was called and the two
agree.
"""

from launch import LaunchDescription
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    argument = launching.argument
    return LaunchDescription(
        [
            argument("contract", "Task: name of a shipped contract or path of a YAML file."),
            argument("mapping", "Teleoperation file: name of a shipped one or path."),
            argument("robot", "Robot file to use instead of the one that the contract names.", ""),
            argument("joy", "true: start the gamepad's driver (ros-jazzy-joy) as well.", "false", launching.BOOLEAN),
            argument(
                "spacenav",
                "true: start the SpaceMouse's driver (ros-jazzy-spacenav) as well.",
                "false",
                launching.BOOLEAN,
            ),
            launching.transport(),
            Node(
                package="joy",
                # Its order of axes and buttons does not depend on the maker, as that of joy_node does.
                executable="game_controller_node",
                output="screen",
                parameters=[{"autorepeat_rate": 50.0}],
                condition=IfCondition(LaunchConfiguration("joy")),
            ),
            Node(
                package="spacenav",
                executable="spacenav_node",
                output="screen",
                condition=IfCondition(LaunchConfiguration("spacenav")),
            ),
            launching.node(
                "teleop_node",
                {name: launching.text(name) for name in ("contract", "robot", "mapping")},
                on_exit=launching.end_with_it("teleoperation has ended"),
            ),
        ]
    )

"""Replays one episode on an arm that is up, and ends with the verdict.

    ros2 launch learned_arm replay.launch.py episode:=demos/pick_cube/20260131T120000Z-1f2e3d4c overlay:=true

The arm moves to where the episode began, slowly, and then plays its labels. `/replay_node/abort` ends it.
"""

from launch import LaunchDescription

from learned_arm.ros import launching


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    texts, flags = ("episode", "stream", "contract", "verdict_folder"), ("overlay", "preflight")
    parameters = {**{name: launching.text(name) for name in texts}, **{name: launching.flag(name) for name in flags}}
    argument = launching.argument
    return LaunchDescription(
        [
            argument("episode", "Folder of the episode."),
            argument("stream", "labels, or sent: what the door sent, at its own rate.", "labels", ["labels", "sent"]),
            argument("contract", "Labels of this contract, by name or path; empty: the episode's.", ""),
            argument("verdict_folder", "Folder that the verdict goes to; empty: the episode's.", ""),
            argument(
                "overlay",
                "true: wait at the initial position, showing ~/overlay, until ~/confirm is called.",
                "false",
                launching.BOOLEAN,
            ),
            argument("preflight", "false: do not compare the robot with the recorded one.", "true", launching.BOOLEAN),
            launching.transport(),
            launching.node(
                "replay_node",
                {**parameters, "exit_when_done": True},
                on_exit=launching.end_with_it("the replay has ended"),
            ),
        ]
    )

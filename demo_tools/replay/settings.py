"""The replay node's parameters: their names, defaults and meaning, and what they ask of one replay."""

from __future__ import annotations

from pathlib import Path

from rclpy.node import Node

from arm_control.moveit_mover import MOVERS, RUCKIG
from demo_tools.replay.loading import Asked
from demo_tools.replay.player import PRECISIONS, Manner
from demo_tools.replay.verdict import LABELS, STREAMS
from learned_arm.errors import LearnedArmError
from learned_arm.ros.node import parameter


def declare(node: Node) -> None:
    """Declare what `asked` reads."""
    parameter(node, "episode", "", "folder of the episode to replay")
    parameter(node, "stream", LABELS, "what is played: labels, or sent: what the door sent, at its own rate")
    parameter(node, "contract", "", "labels of this contract (name or YAML path); empty: the episode's")
    parameter(node, "precision", "float32", "what labels are rounded to: float32 or float16")
    parameter(node, "hold", False, "keep each target until the next one instead of a straight line to it")
    parameter(node, "shift_ticks", 0, "by how many ticks later than labelled targets are played")
    parameter(node, "verdict_folder", "", "folder that the verdict goes to; empty: the episode's")
    parameter(
        node,
        "cameras",
        True,
        "look through the contract's cameras: for the page and for the goal image",
        read_only=True,
    )
    parameter(node, "overlay", False, "hold at the initial position and publish ~/overlay until ~/confirm is called")
    parameter(node, "calibrated_on", "", "folder of the session whose ends tell what solved looks like: goal_image")
    parameter(node, "tolerance_rad", 0.05, "largest distance of a joint from the recorded initial position")
    parameter(node, "preflight", True, "compare what runs with what was recorded, and refuse another robot")
    parameter(node, "mover", RUCKIG, "what plans the move to the initial position: ruckig, or moveit where installed")
    parameter(node, "speed_scale", 0.25, "share of the limits that the move to the initial position uses")


def asked(node: Node) -> Asked:
    """What the parameters ask for now.

    Raises:
        LearnedArmError: A value is none of those allowed.
    """

    def text(name: str) -> str:
        return node.get_parameter(name).get_parameter_value().string_value

    def flag(name: str) -> bool:
        return node.get_parameter(name).get_parameter_value().bool_value

    def number(name: str) -> float:
        return node.get_parameter(name).get_parameter_value().double_value

    for name, allowed in (("stream", STREAMS), ("precision", PRECISIONS), ("mover", MOVERS)):
        if text(name) not in allowed:
            raise LearnedArmError("no such value", where=name, got=text(name), allowed=list(allowed))
    episode = Path(text("episode"))
    return Asked(
        episode=episode,
        stream=text("stream"),
        contract=text("contract"),
        manner=Manner(
            precision=text("precision"),
            hold=flag("hold"),
            shift_ticks=node.get_parameter("shift_ticks").get_parameter_value().integer_value,
        ),
        into=Path(text("verdict_folder")) if text("verdict_folder") else episode,
        cameras=flag("cameras"),
        overlay=flag("overlay"),
        calibrated_on=Path(text("calibrated_on")) if text("calibrated_on") else episode.parent,
        tolerance_rad=number("tolerance_rad"),
        preflight=flag("preflight"),
        speed_scale=number("speed_scale"),
        mover=text("mover"),
    )

"""arm_node before the drivers of makers who have messages of their own: Franka's hand, Interbotix's arms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm.timeline import Timeline
from test.arm_control.driver import CONTROL_NS, HOME, SECOND_NS, TOPIC, Driver
from test.kinds import WITH_FRANKA_MSGS, WITH_INTERBOTIX_MSGS

pytestmark = pytest.mark.ros
HAND = "/franka_gripper"
FORCE_N, ANY_WIDTH_M = 20.0, 0.1
AJAR = HOME + np.array([0.0] * 6 + [0.2])
OPEN = HOME + np.array([0.0] * 6 + [0.7])


class Hand:
    """The two action servers of franka_gripper: every goal is taken, and ends at once as it is told."""

    def __init__(self, each: Driver) -> None:
        from franka_msgs import action  # pyright: ignore[reportMissingImports]
        from rclpy.action import ActionServer

        self.moves, self.grasps, self.why = list[Any](), list[Any](), ""
        self._servers = [
            ActionServer(each.node, kind, f"{HAND}/{name}", partial(self._end, kind, goals))
            for name, kind, goals in (("move", action.Move, self.moves), ("grasp", action.Grasp, self.grasps))
        ]

    def _end(self, kind: Any, goals: list[Any], handle: Any) -> Any:
        goals.append(handle.request)
        (handle.abort if self.why else handle.succeed)()
        return kind.Result(success=not self.why, error=self.why)


@WITH_FRANKA_MSGS
def test_the_hand_moves_to_open_and_grasps_to_close(
    driver: Callable[..., Driver], write: Callable[..., Path], spawn: Any
) -> None:
    settings = {"action": HAND, "max_effort": FORCE_N, "speed_m_s": 0.05}
    each = driver(write(gripper={"adapter": "franka_gripper", **settings}), None)
    assert each.values["goals_gripper"] == "0 sent, 0 rejected, 0 aborted, no controller"
    hand = Hand(each)
    each.drive()
    each.wait(lambda: each.values["goals_gripper"] == "0 sent, 0 rejected, 0 aborted")

    # The place of one finger is led; the hand takes the width between two. A stream that runs past its end for as long
    # as it brakes, and comes back, does not close.
    each.lead(OPEN)
    each.wait(lambda: bool(hand.moves) and hand.moves[-1].width == 1.4)
    assert {goal.width / 2 for goal in hand.moves} <= set(each.jaw_sent)
    assert {goal.speed for goal in hand.moves} == {0.05} and not hand.grasps

    each.position[6] = 0.7
    opened = len(hand.moves)
    each.lead(AJAR)
    each.wait(lambda: bool(hand.grasps) and hand.grasps[-1].width == 0.4)
    assert len(hand.moves) == opened
    assert {goal.width / 2 for goal in hand.grasps} <= set(each.jaw_sent)
    for goal in hand.grasps:
        assert (goal.speed, goal.force) == (0.05, FORCE_N)
        # Whatever is between the fingers is held: what is thicker than the goal as well.
        assert (goal.epsilon.inner, goal.epsilon.outer) == (ANY_WIDTH_M, ANY_WIDTH_M)

    # A grasp that found nothing is told with the hand's own words.
    each.position[6], hand.why = 0.2, "libfranka gripper: Command failed!"
    each.lead(HOME)
    each.wait(lambda: hand.grasps[-1].width == 0.0)
    each.wait(lambda: "0 aborted" not in each.values["goals_gripper"])
    assert f"the controller ended a goal: {hand.why}" in spawn.processes[-1].output()


@WITH_INTERBOTIX_MSGS
@pytest.mark.parametrize("kind", ["group", "single"])
def test_an_interbotix_driver_gets_one_message_a_tick_by_the_name_that_it_knows(
    driver: Callable[..., Driver], write: Callable[..., Path], kind: str
) -> None:
    from interbotix_xs_msgs import msg  # pyright: ignore[reportMissingImports]

    settings = {"adapter": f"joint_{kind}_command", "topic": TOPIC, "name": "xs", "scale": 0.5}
    grouped = kind == "group"
    path, places = (write(settings), slice(6)) if grouped else (write(None, settings), slice(6, 7))
    each = driver(path, msg.JointGroupCommand if grouped else msg.JointSingleCommand, use_sim_time=True)
    each.tick(SECOND_NS - CONTROL_NS)
    each.ask(each.source.engage)
    each.source.send(SECOND_NS, Timeline(SECOND_NS + np.array([0, SECOND_NS]), np.array([HOME, HOME + 0.1])))
    stamps = [SECOND_NS + k * CONTROL_NS for k in range(4)]
    for stamp_ns in stamps:
        each.tick(stamp_ns)
    each.wait(lambda: len(each.commands) == len(stamps))
    assert {message.name for message in each.commands} == {"xs"}
    told = np.array([np.atleast_1d(message.cmd) for message in each.commands], np.float32)
    sent = np.array([view.position[places] for view in each.sent[1:]])
    np.testing.assert_array_equal(told, (0.5 * sent).astype(np.float32))
    assert len(set(told[:, 0])) == len(stamps)

"""arm_node before controllers of every kind: what reaches them, and what stands when the door closes or dies."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm.timeline import Timeline, at_point
from test.arm_control.driver import CONTRACT, CONTROL_NS, HOME, JOINTS, SECOND_NS, TOPIC, Driver
from test.kinds import WITH_CONTROL_MSGS

pytestmark = pytest.mark.ros
ARM, JAW = JOINTS[:6], JOINTS[6:]
ACTION = "/gripper_controller/gripper_cmd"
RIDER = {"adapter": "in_vector", "of": "arm"}
SPEED, ACCELERATION = CONTRACT.robot.limit("velocity_rad_s"), CONTRACT.robot.limit("acceleration_rad_s2")


def speeds() -> dict[str, Any]:
    return {"adapter": "forward_velocity", "topic": TOPIC}


def test_speeds_lead_the_arm_and_end_in_zero(
    driver: Callable[..., Driver], write: Callable[..., Path], spawn: Any
) -> None:
    from std_msgs.msg import Float64MultiArray

    each = driver(write(speeds(), RIDER), Float64MultiArray, speeds=True)
    # A controller that an earlier door may have left running is told to stand still, once.
    each.wait(lambda: len(each.commands) > 0)
    each.drive()
    each.spin(0.3)
    assert not each.data.any() and len(each.commands) == 1
    assert spawn.processes[-1].output().count("RUNS ON AT ITS LAST SPEED") == 1

    goal = HOME + 0.1
    each.lead(goal)
    each.wait(lambda: each.values["state"] == "engaged")
    each.wait(lambda: bool(np.allclose(each.position, goal, atol=0.003)), 4.0)
    assert (np.abs(each.data) <= SPEED).all()
    # At the target nothing but a trace of correction is left.
    each.spin(0.3)
    assert np.abs(each.data[-1]).max() < 0.02

    def ends_in_zero(state: str) -> None:
        assert np.abs(each.speed).max() > 0.1
        each.wait(lambda: each.values["state"] == state and not each.speed.any())
        count = len(each.commands)
        each.spin(0.2)
        assert len(each.commands) == count and not each.speed.any()

    for end, state in (("release", "ready"), ("stop", "stopped"), ("silence", "fault")):
        each.lead(each.position + 1.0 * np.array([1.0] * 6 + [0.3]), 2.0)
        each.wait(lambda: float(each.speed[0]) > 0.3)
        if end == "release":
            each.ask(each.source.release)
        elif end == "stop":
            each.ask(lambda answer: each.door.trigger("stop", answer))
        else:
            each.fall_silent()
        ends_in_zero(state)
        if state != "ready":
            each.ask(lambda answer: each.door.trigger("clear_fault", answer))


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.prove)])
def test_a_door_that_is_ended_in_motion_brakes_and_leaves_zero(
    driver: Callable[..., Driver], write: Callable[..., Path], spawn: Any, number: int
) -> None:
    from std_msgs.msg import Float64MultiArray

    each = driver(write(speeds(), RIDER), Float64MultiArray, speeds=True)
    each.drive()
    each.lead(HOME + np.array([1.0] * 6 + [0.7]), 1.0)
    each.wait(lambda: float(each.speed[0]) > 0.8)
    before = len(each.commands)
    spawn.processes[-1].popen.send_signal(number)
    each.wait(lambda: not each.speed.any(), 5.0)
    assert spawn.processes[-1].wait() == 0, spawn.processes[-1].output()
    each.spin(0.2)
    assert not each.speed.any()
    # From 1 rad/s it takes some periods at 10 rad/s^2: the arm was braked, not cut off.
    braking = each.data[before:, 0]
    assert len(braking[braking != 0.0]) >= 5
    steps = np.abs(np.diff(np.array(each.data[before:])[:, :6], axis=0)).max(axis=0)
    assert (steps <= 2.5 * ACCELERATION[:6] * CONTROL_NS / 1e9).all()


HANGS = """
import sys, time
from arm_control.arm_node import ArmNode
from learned_arm.ros.node import run

class Hangs(ArmNode):
    def _publish(self, command):
        super()._publish(command)
        if command.speed_rad_s is not None and command.speed_rad_s[0] > 0.8:
            with self._lock:
                time.sleep(60.0)

raise SystemExit(run(Hangs, sys.argv))
"""


def test_a_control_loop_that_hangs_in_motion_leaves_zero(
    driver: Callable[..., Driver], write: Callable[..., Path], spawn: Any
) -> None:
    from std_msgs.msg import Float64MultiArray

    each = driver(write(speeds(), RIDER), Float64MultiArray, speeds=True, script=HANGS)
    each.drive()
    each.lead(HOME + np.array([1.0] * 6 + [0.7]), 1.0)
    each.wait(lambda: float(each.speed[0]) > 0.8)
    each.wait(lambda: not each.speed.any(), 3.0)
    assert spawn.processes[-1].wait() == 1, spawn.processes[-1].output()
    assert not each.speed.any()


def test_groups_in_one_vector_get_one_message_a_tick_in_the_controllers_order(
    driver: Callable[..., Driver], write: Callable[..., Path]
) -> None:
    from std_msgs.msg import Float64MultiArray

    order = [*JAW, *reversed(ARM)]
    path = write({"adapter": "forward_position", "topic": TOPIC, "joints": order}, RIDER)
    each = driver(path, Float64MultiArray, use_sim_time=True)
    each.tick(SECOND_NS + CONTROL_NS)
    each.ask(each.source.engage)
    stamps = [SECOND_NS + k * CONTROL_NS for k in range(2, 5)]
    for stamp_ns in stamps:
        each.tick(stamp_ns)
    each.wait(lambda: len(each.commands) == len(stamps))
    places = [JOINTS.index(joint) for joint in order]
    np.testing.assert_array_equal(each.data, [view.position[places] for view in each.sent[1:]])


def test_points_carry_their_time_the_joints_of_every_group_and_a_speed_where_it_is_wanted(
    driver: Callable[..., Driver], write: Callable[..., Path]
) -> None:
    from trajectory_msgs.msg import JointTrajectory

    command = {"adapter": "joint_trajectory", "topic": TOPIC, "time_from_start_s": 0.125, "velocities": True}
    each = driver(write(command, RIDER), JointTrajectory, use_sim_time=True)
    each.tick(SECOND_NS - CONTROL_NS)
    each.ask(each.source.engage)
    each.source.send(SECOND_NS, Timeline(SECOND_NS + np.array([0, SECOND_NS]), np.array([HOME, HOME + 0.1])))
    for k in range(4):
        each.tick(SECOND_NS + k * CONTROL_NS)
    each.wait(lambda: len(each.commands) == 4)
    for message, before, after in zip(each.commands[1:], each.sent[1:-1], each.sent[2:], strict=True):
        (point,) = message.points
        assert tuple(message.joint_names) == JOINTS
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
        assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 125_000_000)
        np.testing.assert_array_equal(point.positions, after.position)
        np.testing.assert_allclose(point.velocities, (after.position - before.position) / 0.01, atol=1e-9)


BARRED = """
import sys
sys.modules["{package}"] = None
from arm_control.arm_node import main
raise SystemExit(main())
"""
CONTROL_MSGS = ("control_msgs", "the package ros-jazzy-control-msgs")
NAMED = {"topic": "/arm/commands", "name": "gripper"}
INTERBOTIX = ("interbotix_xs_msgs", "interbotix_ros_core from source")


@pytest.mark.parametrize(
    ("adapter", "keys", "needs"),
    [
        ("gripper_command", {"action": ACTION, "max_effort": 20.0}, CONTROL_MSGS),
        ("parallel_gripper_command", {"action": ACTION, "max_effort": 20.0}, CONTROL_MSGS),
        ("franka_gripper", {"action": ACTION, "max_effort": 20.0}, ("franka_msgs", "franka_ros2 from source")),
        ("joint_single_command", NAMED, INTERBOTIX),
        ("joint_group_command", NAMED, INTERBOTIX),
    ],
)
def test_without_its_messages_an_adapter_is_refused_in_one_line(
    spawn: Any, write: Callable[..., Path], adapter: str, keys: dict[str, Any], needs: tuple[str, str]
) -> None:
    path, (package, install) = write(gripper={"adapter": adapter, **keys}), needs
    barred = BARRED.format(package=package)
    process = spawn(sys.executable, "-c", barred, "--ros-args", "-p", f"contract:={path}", name="arm_node")
    assert process.wait() == 2, process.output()
    words = f"error: group gripper: {package} is not installed; got adapter {adapter}; allowed: install {install}"
    assert process.output().splitlines() == [words]


class Gripper:
    """The action server of a gripper controller: takes the newest goal, and ends it as it is told."""

    def __init__(self, each: Driver, adapter: str) -> None:
        from control_msgs import action  # pyright: ignore[reportMissingImports]
        from rclpy.action import ActionServer, GoalResponse

        kind = action.GripperCommand if adapter == "gripper_command" else action.ParallelGripperCommand
        self.goals, self.times_s, self.asked = list[Any](), list[float](), 0
        self.end, self.accepts = "succeed", True

        def on_goal(_request: Any) -> Any:
            self.asked += 1
            return GoalResponse.ACCEPT if self.accepts else GoalResponse.REJECT

        def on_accepted(handle: Any) -> Any:
            self.goals.append(handle.request.command)
            self.times_s.append(time.monotonic())
            (handle.abort if self.end == "stall" else handle.succeed)()
            return kind.Result(stalled=self.end == "stall")

        self._server = ActionServer(each.node, kind, ACTION, on_accepted, goal_callback=on_goal)

    @property
    def positions(self) -> list[float]:
        return [goal.position if isinstance(goal.position, float) else goal.position[0] for goal in self.goals]


@WITH_CONTROL_MSGS
@pytest.mark.parametrize("adapter", ["gripper_command", "parallel_gripper_command"])
def test_a_gripper_gets_few_goals_and_the_final_one(
    driver: Callable[..., Driver], write: Callable[..., Path], adapter: str
) -> None:
    each = driver(write(gripper={"adapter": adapter, "action": ACTION, "max_effort": 20.0}), None)
    assert each.values["goals_gripper"] == "0 sent, 0 rejected, 0 aborted, no controller"
    gripper = Gripper(each, adapter)
    each.drive()
    each.wait(lambda: each.values["goals_gripper"] == "0 sent, 0 rejected, 0 aborted")
    closed, opened = HOME + np.array([0.0] * 6 + [0.7]), HOME.copy()
    each.lead(closed, 1.0)
    each.wait(lambda: gripper.positions[-1:] == [0.7])
    assert 4 <= len(gripper.goals) <= 14
    assert min(np.diff(gripper.times_s)) > 0.05
    # The ramp ends at once; the safe stream needs its braking distance.
    assert all(0.0 < at <= 0.71 for at in gripper.positions)
    assert set(gripper.positions) <= set(each.jaw_sent)
    for goal in gripper.goals:
        if adapter == "gripper_command":
            assert goal.max_effort == 20.0
        else:
            assert (list(goal.name), list(goal.effort)) == (list(JAW), [20.0])

    # Kept still, nothing more is asked for; released in motion, the last goal is where the safe stream came to rest.
    each.position[6] = 0.7
    count = len(gripper.goals)
    each.spin(0.4)
    assert len(gripper.goals) == count
    each.lead(opened, 2.0)
    each.wait(lambda: len(gripper.goals) > count + 3)
    each.ask(each.source.release)
    each.wait(lambda: each.values["state"] == "ready")
    each.spin(0.4)
    assert gripper.positions[-1] == each.jaw_sent[-1] and 0.0 < gripper.positions[-1] < 0.7

    # A controller that stalls at an object, and one that refuses, are told in the status; the refused is asked again.
    each.position[6], gripper.end = gripper.positions[-1], "stall"
    each.lead(closed, 0.3)
    each.wait(lambda: gripper.positions[-1] == 0.7)
    each.wait(lambda: "0 aborted" not in each.values["goals_gripper"])
    each.position[6], gripper.end, gripper.accepts = 0.7, "succeed", False
    each.source.send(each.now_ns, at_point(each.now_ns + SECOND_NS, opened))
    each.wait(lambda: "0 rejected" not in each.values["goals_gripper"])
    gripper.accepts = True
    each.wait(lambda: gripper.positions[-1] < 0.6)


@WITH_CONTROL_MSGS
def test_a_door_that_ends_sends_the_gripper_its_last_goal(
    driver: Callable[..., Driver], write: Callable[..., Path], spawn: Any
) -> None:
    path = write(gripper={"adapter": "gripper_command", "action": ACTION, "max_effort": 20.0})
    each = driver(path, None)
    gripper = Gripper(each, "gripper_command")
    each.drive()
    each.wait(lambda: "no controller" not in each.values["goals_gripper"])
    each.lead(HOME + np.array([0.0] * 6 + [0.7]), 2.0)
    each.wait(lambda: len(gripper.goals) > 3)
    spawn.processes[-1].popen.send_signal(signal.SIGTERM)
    while spawn.processes[-1].popen.poll() is None:
        each.spin(0.02)
    assert spawn.processes[-1].wait() == 0, spawn.processes[-1].output()
    each.spin(0.2)
    assert gripper.positions[-1] == each.jaw_sent[-1]

"""Lock-step: a tick is stepped once, when all that it needs is there."""

from __future__ import annotations

import numpy as np

from arm_control.lock_step import LockStep
from learned_arm.cdr import JointStateView
from learned_arm.commander import Command, Commander
from learned_arm.robot import load_robot

TICK_NS = 20_000_000


def test_a_tick_waits_for_the_joint_states_of_every_topic() -> None:
    given: list[Command] = []
    robot = load_robot("aloha")
    left, right = (each.topic for each in robot.joint_states)
    steps = LockStep(Commander(robot), TICK_NS, (left, right), lambda *_: None, given.append, monotonic_ns=lambda: 0)
    for tick in (1, 2):
        steps.on_joints(left, tick * TICK_NS)
        assert len(given) == tick - 1
        steps.on_joints(right, tick * TICK_NS)
        assert [each.stamp_ns for each in given] == [each * TICK_NS for each in range(1, tick + 1)]
    # Told again for a door that came late, it is answered again.
    steps.on_joints(right, 2 * TICK_NS)
    assert [each.stamp_ns for each in given][2:] == [2 * TICK_NS]
    assert steps.now_ns == 2 * TICK_NS and steps.next_tick_ns == 3 * TICK_NS


def test_a_holder_that_sends_nothing_is_waited_for_and_then_stopped() -> None:
    now_ns, given = [0], list[Command]()
    robot = load_robot("so101")
    commander, (topic,) = Commander(robot), (each.topic for each in robot.joint_states)
    steps = LockStep(commander, TICK_NS, [topic], lambda *_: None, given.append, monotonic_ns=lambda: now_ns[0])
    position = np.array(robot.home_rad)
    commander.measure(JointStateView(TICK_NS, robot.joints, position, np.empty(0), np.empty(0)), 0)
    commander.engage("policy", TICK_NS)
    steps.on_engaged("policy")
    steps.on_joints(topic, TICK_NS)
    now_ns[0] = 4_999_999_999
    steps.step_when_ready()
    assert given == [] and commander.holder == "policy"
    now_ns[0] += 1
    steps.step_when_ready()
    assert [each.stamp_ns for each in given] == [TICK_NS]
    assert commander.holder is None
    assert commander.reason == f"policy sent no targets for tick {TICK_NS} within 5 s"

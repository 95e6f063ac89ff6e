"""A human takes the arm from the real policy_node at the real arm_node: it lets go, and goes on only when asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm.contract import Contract
from learned_arm.timeline import at_point

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

POLICY, ARM = "learned_policy_node.node", "arm_control.arm_node"
TAKEN = "lease taken by teleop"
# At most one tick was under way when the lease went.
UNDER_WAY = 1


class Human:
    """The source `teleop`, held by the bench."""

    def __init__(self, bench: Any, contract: Contract) -> None:
        from learned_arm.ros.door import DoorClient

        self.bench, self.door = bench, DoorClient(bench.node, contract.robot, "teleop")
        self.home_rad = np.array(contract.robot.home_rad)
        bench.until(lambda: self.door.ready, "the door")

    def asks(self, ask: Callable[[Any], None]) -> str:
        answers: list[tuple[bool, str]] = []
        ask(lambda accepted, words: answers.append((accepted, words)))
        self.bench.until(lambda: answers, "the door's answer")
        accepted, words = answers[0]
        assert accepted, words
        return words

    def takes_over(self) -> str:
        return self.asks(self.door.engage)

    def lets_go(self) -> str:
        return self.asks(self.door.release)

    def holds_still(self, tick_ns: int) -> None:
        self.door.send(tick_ns, at_point(tick_ns + 50_000_000, self.home_rad))


def refused_while_a_human_holds(bench: Any) -> None:
    refused = bench.engage(True)
    assert not refused.success
    assert "the lease is taken" in refused.message
    assert "teleop must release it first" in refused.message


def test_in_real_time_it_stops_at_once_says_so_and_goes_on_only_when_asked(
    bench: Any, spawn: Any, make_model: Callable[..., Path], patient: tuple[Contract, Path]
) -> None:
    contract, file = patient
    model = make_model(of=contract)
    spawn.node(POLICY, auto_activate=True, contract=file, model=model, execution="receding", execute_steps=16)
    spawn.node(ARM, contract=file)
    bench.run_in_real_time()
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    human = Human(bench, contract)
    bench.until(lambda: bench.engage(True).success, "the lease")
    bench.until(lambda: len(bench.targets) >= 10, "targets")
    # A status is a moment old.
    bench.until(lambda: bench.values()["schedule"] == "playing", "the plan to be played")

    before = len(bench.targets)
    assert "taken from policy" in human.takes_over()
    taken_s = time.monotonic()
    bench.until(lambda: bench.values()["engaged"] == "False", "the policy to notice")
    noticed_s = time.monotonic() - taken_s
    at_notice = len(bench.targets)
    assert bench.values()["schedule"] == TAKEN
    assert bench.words() == f"active, {TAKEN}"
    print(f"noticed {noticed_s * 1e3:.0f} ms after the door's answer, {at_notice - before} targets in between")
    refused_while_a_human_holds(bench)
    for _ in range(10):
        human.holds_still(bench.now_ns)
        until_s = time.monotonic() + 0.05
        bench.until(lambda until_s=until_s: time.monotonic() > until_s, "the human to move")
    assert len(bench.targets) <= at_notice + UNDER_WAY
    human.lets_go()
    bench.until(lambda: bench.values("arm_node")["holder"] == "", "the door to be free")
    until_s = time.monotonic() + 0.5
    bench.until(lambda: time.monotonic() > until_s, "the policy to stay away")
    assert len(bench.targets) <= at_notice + UNDER_WAY
    assert bench.values()["schedule"] == TAKEN

    asked, before = int(bench.values()["inferences"]), len(bench.targets)
    assert bench.engage(True).success
    bench.until(lambda: len(bench.targets) >= before + 5, "going on")
    # No step of the old chunk, of 16 ticks, was left.
    bench.until(lambda: int(bench.values()["inferences"]) > asked, "the policy to be asked anew")
    bench.until(lambda: bench.values()["schedule"] == "playing", "the schedule to play")
    assert bench.words() == "active"


def test_in_lock_step_the_door_waits_for_the_human_then_and_for_nobody_else(
    bench: Any, spawn: Any, make_model: Callable[..., Path], contract: Contract
) -> None:
    spawn.node(POLICY, auto_activate=True, model=make_model(), use_sim_time=True)
    spawn.node(ARM, use_sim_time=True)
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: all(each.get_subscription_count() == 1 for each in bench.images.values()), "the cameras")
    human = Human(bench, contract)
    for _ in range(2):
        bench.to_next_tick()
    for _ in range(2):
        engaged = bench.engage(True)
        assert engaged.success, engaged.message
        ticks = [bench.to_next_tick() for _ in range(5)]
        assert f"first_tick_ns={ticks[0]}" in engaged.message
        bench.until(lambda ticks=ticks: ticks[-1] in bench.targets, "the last answer")
        assert all(len(bench.targets[tick_ns]) == 1 for tick_ns in ticks)

        assert "taken from policy" in human.takes_over()
        mine = []
        for _ in range(5):
            next_ns = (bench.now_ns // contract.period_ns + 1) * contract.period_ns
            human.holds_still(next_ns)
            assert bench.to_next_tick() == next_ns
            mine.append(next_ns)
        bench.until(lambda: bench.values()["schedule"] == TAKEN, "the policy to say so")
        refused_while_a_human_holds(bench)
        assert sum(tick_ns in bench.targets for tick_ns in mine) <= UNDER_WAY
        human.lets_go()
        free = [bench.to_next_tick() for _ in range(3)]
        assert not any(tick_ns in bench.targets for tick_ns in free), "it goes on only when asked"

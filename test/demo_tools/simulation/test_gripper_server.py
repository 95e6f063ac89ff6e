"""A simulated gripper answers goals as the gripper controllers of ros2_control do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from hypothesis import given
from hypothesis import strategies as st
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from demo_tools.flow.stack import NODES
from demo_tools.simulation.goal_watch import REACHED, STALLED, STALLED_AFTER_S, TOLERANCE, GoalWatch
from learned_arm.contract import load_contract
from learned_arm.durable import write_json
from test.kinds import WITH_CONTROL_MSGS
from test.patience import patient

ACTION, SECONDS = "/gripper_controller/gripper_cmd", 20.0
KINDS = {"gripper_command": "GripperCommand", "parallel_gripper_command": "ParallelGripperCommand"}


@given(st.floats(0.0, 0.8), st.floats(0.0, 0.8))
def test_a_goal_is_reached_within_the_tolerance_and_nowhere_else(goal: float, position: float) -> None:
    watch = GoalWatch(goal, position, 0.0)
    assert (watch.see(position, 0.05) == REACHED) == (abs(position - goal) < TOLERANCE)


@given(st.floats(0.002, 0.5))
def test_jaws_that_move_do_not_stall_and_jaws_that_stand_still_do(speed_per_s: float) -> None:
    watch, at, steps = GoalWatch(9.0, 0.0, 0.0), 0.0, 60
    for step in range(1, steps):
        at = speed_per_s * 0.05 * step
        assert watch.see(at, 0.05 * step) == ""
    since_s = 0.05 * (steps - 1)
    assert watch.see(at, since_s + 0.9 * STALLED_AFTER_S) == ""
    assert watch.see(at, since_s + 1.1 * STALLED_AFTER_S) == STALLED


class Client:
    """Sends goals of one kind, and waits for what becomes of them."""

    def __init__(self, domain_id: int, adapter: str) -> None:
        from control_msgs import action  # pyright: ignore[reportMissingImports]

        self.kind = getattr(action, KINDS[adapter])
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._client = ActionClient(self._node, self.kind, ACTION)
        assert self._client.wait_for_server(SECONDS)

    def ask(self, position: float) -> Any:
        """The handle of a goal."""
        goal = self.kind.Goal()
        goal.command.position = position if isinstance(goal.command.position, float) else [position]
        return self.wait(self._client.send_goal_async(goal))

    def result(self, handle: Any) -> Any:
        return self.wait(handle.get_result_async())

    def wait(self, future: Any) -> Any:
        self._executor.spin_until_future_complete(future, SECONDS)
        assert future.done()
        return future.result()

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, spawn: Any, tmp_path: Path) -> Iterator[Client]:
    """In front of a simulation whose gripper takes goals."""
    content = patient(load_contract("pick_cube"))
    content["robot"]["groups"]["gripper"]["command"] = {"adapter": request.param, "action": ACTION, "max_effort": 20.0}
    write_json(tmp_path / "contract.yaml", content)
    spawn.node(NODES["sim_arm_node"], contract=tmp_path / "contract.yaml")
    found = Client(spawn.domain_id, request.param)
    yield found
    found.close()


@pytest.mark.ros
@WITH_CONTROL_MSGS
def test_goals_are_reached_replaced_cancelled_stalled_and_refused(client: Client) -> None:
    reached = client.result(client.ask(0.4))
    assert reached.status == GoalStatus.STATUS_SUCCEEDED and reached.result.reached_goal

    replaced = client.ask(0.0)
    newer = client.ask(0.5)
    assert client.result(replaced).status == GoalStatus.STATUS_CANCELED
    assert client.result(newer).status == GoalStatus.STATUS_SUCCEEDED

    cancelled = client.ask(0.0)
    client.wait(cancelled.cancel_goal_async())
    assert client.result(cancelled).status == GoalStatus.STATUS_CANCELED

    # Beyond where its stop is.
    stalled = client.result(client.ask(1.5))
    assert stalled.status == GoalStatus.STATUS_ABORTED and stalled.result.stalled
    assert not client.ask(float("nan")).accepted


@pytest.mark.ros
def test_in_lock_step_a_gripper_that_takes_goals_is_refused(spawn: Any, tmp_path: Path) -> None:
    content = load_contract("pick_cube").canonical()
    command = {"adapter": "gripper_command", "action": ACTION, "max_effort": 1.0}
    content["robot"]["groups"]["gripper"]["command"] = command
    write_json(tmp_path / "contract.yaml", content)
    node = spawn.node(NODES["sim_arm_node"], contract=tmp_path / "contract.yaml", use_sim_time=True)
    assert node.wait() == 2
    assert "gripper: a gripper's action in lock-step; got gripper_command" in node.output()

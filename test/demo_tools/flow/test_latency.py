"""The latency experiment: its conditions, and that the policy node takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.policy_model import write_policy
from learned_arm.contract import load_contract

pytest.importorskip("rclpy")
from demo_tools.flow.latency import CONDITIONS, Condition, behaviour_under_latency
from demo_tools.flow.run_folder import RunFolder


def test_every_delay_is_tried_with_and_without_compensation() -> None:
    assert len({each.name for each in CONDITIONS}) == len(CONDITIONS)
    for delay_ms in (0.0, 100.0, 200.0, 300.0):
        assert {each.compensate for each in CONDITIONS if each.added_latency_ms == delay_ms} == {True, False}
    assert CONDITIONS[0] == Condition(0.0)


@pytest.mark.ros
@pytest.mark.prove
def test_a_policy_that_learned_nothing_fails_under_every_condition(tmp_path: Path) -> None:
    write_policy(tmp_path / "policy.onnx", load_contract("pick_cube"))
    told: list[str] = []
    tell: Callable[[str], None] = told.append
    conditions = (Condition(0.0), Condition(200.0, False))
    run = RunFolder(tmp_path / "run")
    rows = behaviour_under_latency(run, tmp_path / "policy.onnx", conditions, 1, 1, tell)
    assert [(row["name"], row["successes"], row["count"]) for row in rows] == [
        ("0ms_compensated", 0, 1),
        ("200ms_late", 0, 1),
    ]
    assert told == ["failure", "failure"]
    assert run.read("latency.json")["rows"] == rows

"""Another robot is refused, a changed one is what the replay tests, and what is not known is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from demo_tools.replay.preflight import preflight
from learned_arm.provenance_rules import load_rules

_SPEC = importlib.util.spec_from_file_location("snapshots", Path(__file__).parents[2] / "learned_arm/snapshots.py")
assert _SPEC is not None and _SPEC.loader is not None
snapshots: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(snapshots)
RULES = load_rules()


def test_the_same_robot_is_neither_refused_nor_tested() -> None:
    found = preflight(snapshots.snapshot(), snapshots.snapshot(), RULES)
    assert (found.refusal, found.tests, found.lesser, found.not_compared) == ("", (), 0, "")


def test_another_order_of_joints_is_refused_with_its_reason() -> None:
    live = snapshots.snapshot()
    live["joint_names"]["/joint_states"]["names"].reverse()
    found = preflight(snapshots.snapshot(), live, RULES)
    assert found.refusal.startswith("another robot than was recorded: joint_names")
    assert len(found.refusal.splitlines()) == 1
    assert found.statement()["S3"] == list(found.refuses)


def test_another_limit_is_what_the_replay_tests() -> None:
    live = snapshots.snapshot()
    live["parameters"]["/forward_position_controller"]["values"]["max_velocity"] = 1.0
    found = preflight(snapshots.snapshot(), live, RULES)
    assert not found.refusal
    assert len(found.tests) == 1 and "max_velocity" in found.tests[0]


def test_what_is_no_snapshot_is_compared_with_nothing_and_says_so() -> None:
    found = preflight({"unreachable": "stopped"}, snapshots.snapshot(), RULES)
    assert not found.refusal and found.not_compared
    assert found.statement() == {"not_compared": found.not_compared}

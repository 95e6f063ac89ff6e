"""What changes on the robot while an episode is recorded stands in its lines, and nothing else does."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from data_recorder.changes import changes
from learned_arm.contract import load_contract
from learned_arm.provenance import snapshot

CONTROLLER = "/forward_position_controller"


@pytest.fixture
def start() -> dict[str, Any]:
    """What this machine says, with one controller that it does not have."""
    graph = {"rmw": "rmw", "nodes": [CONTROLLER], "topics": {}}
    parameters = {CONTROLLER: {"values": {"gains.p": 100.0, "joints": ["a", "b"]}}}
    return {**snapshot(load_contract("pick_cube")), "graph": graph, "parameters": parameters}


def test_the_same_robot_has_no_line(start: dict[str, Any]) -> None:
    assert changes({"start": start, "end": deepcopy(start)}) == ()


def test_a_changed_gain_and_a_changed_order_are_told_the_worst_first(start: dict[str, Any]) -> None:
    end = deepcopy(start)
    end["parameters"][CONTROLLER]["values"] = {"gains.p": 80.0, "joints": ["b", "a"]}
    order, gain = changes({"start": start, "end": end})
    assert order.startswith("S3 ") and '["a", "b"] -> ["b", "a"]' in order
    assert gain.startswith("S2 ") and "gains.p: 100.0 -> 80.0" in gain


def test_a_node_that_did_not_answer_has_not_changed(start: dict[str, Any]) -> None:
    end = deepcopy(start)
    end["parameters"][CONTROLLER] = {"unreachable": "no answer"}
    assert changes({"start": start, "end": end}) == ()


@pytest.mark.parametrize("provenance", [{}, {"start": {}}, {"start": {"unreachable": "killed"}, "end": {}}])
def test_without_two_snapshots_there_is_none(provenance: dict[str, Any]) -> None:
    assert changes(provenance) == ()

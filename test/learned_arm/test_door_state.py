"""The door's state machine: every event in every state, and a machine written in words of its own beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.door_state import LATCHED, MOVING, TRANSITIONS, DoorState, State

REFERENCE = Path(__file__).resolve().parents[2] / "docs/reference.md"


def test_the_names_are_those_that_users_see() -> None:
    assert [state.value for state in State] == ["unconfigured", "ready", "engaged", "holding", "stopped", "fault"]
    page = REFERENCE.read_text().split("### `arm_node`")[1].split("### `policy_node`")[0]
    assert all(f"| `{state.value}` |" in page for state in State)


@given(st.lists(st.sampled_from(list(TRANSITIONS)), max_size=30))
def test_nothing_moves_before_it_is_measured_nor_while_it_is_latched(events: list[str]) -> None:
    door = DoorState()
    for event in events:
        before = door.state
        taken = door.on(event, event)
        assert taken == (before in TRANSITIONS[event][0])
        assert taken or door.state is before
        if before is State.UNCONFIGURED:
            assert door.state not in MOVING
        if before is State.FAULT:
            assert event == "clear" or door.state is State.FAULT
        if before in LATCHED and event not in ("clear", "fault"):
            assert door.state is before
        if door.state in MOVING and before not in MOVING:
            assert before is State.READY and event == "engage"
        if event == "stop":
            assert door.state in LATCHED
        if event == "fault":
            assert door.state is State.FAULT
        assert not taken or door.reason == event


@pytest.mark.parametrize("latch", ["stop", "fault"])
@pytest.mark.parametrize("measured", [True, False])
def test_cleared_it_is_ready_only_where_the_arm_was_measured(latch: str, measured: bool) -> None:
    door = DoorState()
    door.on(latch, "a reason")
    if measured:
        assert not door.on("measured") and door.reason == "a reason"
    assert door.on("clear")
    assert door.state is (State.READY if measured else State.UNCONFIGURED)

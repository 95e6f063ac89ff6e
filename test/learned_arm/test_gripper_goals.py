"""A stream of positions becomes few goals, and always the one that counts: the last."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from learned_arm.command_spec import GripperSettings
from learned_arm.gripper_goals import LATEST_NS, RETRY_NS, Closing, GripperGoals

MS = 1_000_000
DEADBAND, RATE_HZ = 0.01, 10.0
PERIOD_NS = 100 * MS
SETTINGS = GripperSettings("/gripper_cmd", 10.0, DEADBAND, RATE_HZ)
Goals = list[tuple[int, float]]


def play(goals: GripperGoals, positions: list[float], start_ns: int = 0, step_ns: int = 10 * MS) -> Goals:
    """The goals that a stream at the control rate gives, with their times."""
    found = []
    for index, position in enumerate(positions):
        now_ns = start_ns + index * step_ns
        goals.see(position, now_ns)
        goal = goals.goal(now_ns)
        if goal is not None:
            found.append((now_ns, goal))
    return found


def ramp(steps: int = 50, top: float = 0.5) -> list[float]:
    return [top * index / steps for index in range(steps + 1)]


STREAMS = st.lists(st.floats(-1.0, 1.0) | st.floats(-0.02, 0.02) | st.just(math.nan), min_size=1, max_size=60)


@given(STREAMS, st.integers(1, 200))
def test_the_final_target_is_always_sent_and_no_goal_comes_too_soon_or_is_not_a_number(
    positions: list[float], step_ms: int
) -> None:
    goals = GripperGoals(SETTINGS)
    finite = [each for each in positions if math.isfinite(each)]
    kept = positions + positions[-1:] * (1 + 200 // step_ms)
    found = play(goals, kept, step_ns=step_ms * MS)
    if not finite:
        assert found == []
        return
    assert all(after[0] - before[0] >= PERIOD_NS for before, after in pairwise(found))
    assert all(math.isfinite(goal) for _, goal in found)
    last = found[-1][1] if found else finite[0]
    assert last == finite[-1]


@given(STREAMS)
def test_every_goal_is_the_newest_position_and_moves_or_is_final(positions: list[float]) -> None:
    goals, newest, reference, unchanged_ns = GripperGoals(SETTINGS), None, None, 0
    for index, position in enumerate(positions):
        now_ns = index * 30 * MS
        goals.see(position, now_ns)
        if math.isfinite(position):
            reference = position if reference is None else reference
            unchanged_ns = now_ns if position != newest else unchanged_ns
            newest = position
        goal = goals.goal(now_ns)
        if goal is not None:
            assert goal == newest and reference is not None
            assert abs(goal - reference) > DEADBAND or now_ns - unchanged_ns >= PERIOD_NS
            reference = goal


def test_a_stream_at_the_control_rate_becomes_ten_goals_a_second() -> None:
    positions = [index * 0.001 for index in range(500)]
    found = play(GripperGoals(SETTINGS), positions, step_ns=4 * MS)
    assert 18 <= len(found) <= 20
    assert {goal for _, goal in found} <= set(positions)


def test_a_stream_that_begins_moves_nothing() -> None:
    goals = GripperGoals(SETTINGS)
    assert play(goals, [0.4] * 100) == []
    # Once closed, the next stream may begin elsewhere: the gripper was moved by hand.
    goals.close(2000 * MS)
    assert goals.goal(2000 * MS) is None
    assert play(goals, [0.1] * 100, 3000 * MS) == []


def test_at_the_end_of_a_stream_its_last_position_is_sent_at_once_or_as_soon_as_the_rate_allows() -> None:
    goals = GripperGoals(SETTINGS)
    found = play(goals, ramp())
    end_ns = found[-1][0] + 10 * MS
    goals.close(end_ns)
    assert found[-1][1] != 0.5 and goals.goal(end_ns) is None
    assert goals.goal(found[-1][0] + PERIOD_NS) == 0.5
    assert goals.goal(end_ns + 10 * PERIOD_NS) is None


@given(STREAMS)
def test_a_process_that_ends_has_sent_the_final_target(positions: list[float]) -> None:
    goals = GripperGoals(SETTINGS)
    found, finite = play(goals, positions), [each for each in positions if math.isfinite(each)]
    sent = [goal for _, goal in found][-1:] or finite[:1]
    last = goals.last()
    assert (sent if last is None else [last]) == finite[-1:]
    assert goals.last() is None and goals.goal(10**12) is None


def test_a_goal_that_could_not_leave_is_not_sent_when_nobody_expects_it() -> None:
    goals = GripperGoals(SETTINGS)
    for index, position in enumerate(ramp()):
        goals.see(position, index * 10 * MS)
    goals.close(500 * MS)
    assert goals.goal(501 * MS + LATEST_NS) is None
    assert goals.goal(502 * MS + LATEST_NS) is None


def test_a_refused_goal_is_asked_for_again_with_the_newest_position() -> None:
    goals = GripperGoals(SETTINGS)
    assert play(goals, [0.0, 0.2]) == [(10 * MS, 0.2)]
    goals.refuse(20 * MS)
    assert play(goals, [0.3] * 10, 30 * MS) == []
    assert play(goals, [0.3], 20 * MS + RETRY_NS) == [(20 * MS + RETRY_NS, 0.3)]


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    goals = GripperGoals(SETTINGS)
    assert play(goals, [0.0, 0.2], 1000 * MS) == [(1010 * MS, 0.2)]
    assert play(goals, [0.4], 0) == [(0, 0.4)]


def test_to_close_is_one_action_and_to_open_another_and_a_hair_is_neither() -> None:
    closing = Closing(0.1)
    asked = [
        (0.75, 0.8, False),
        (0.5, 0.75, True),  # from where the stream began
        (0.2, 0.5, True),
        (0.2, 0.2, True),  # asked for again: the controller had refused it
        (0.2 + 1e-7, 0.2, True),  # what is held is not let go for a hair
        (0.29, 0.2, True),
        (0.6, 0.29, False),
        (0.6, 0.6, False),
        (0.8, 0.6, False),
        (0.72, 0.8, False),  # what was opened too far comes back
        (0.71, 0.72, False),
        (0.69, 0.71, True),
        (0.3, 0.69, True),
    ]
    assert [closing.see(position, before) for position, before, _ in asked] == [closes for *_, closes in asked]


def test_the_goal_before_is_known_when_one_is_asked_for() -> None:
    goals = GripperGoals(SETTINGS)
    assert goals.reference is None
    goals.see(0.3, 0)
    assert goals.reference == 0.3
    goals.see(0.5, PERIOD_NS)
    assert (goals.reference, goals.goal(PERIOD_NS), goals.reference) == (0.3, 0.5, 0.5)

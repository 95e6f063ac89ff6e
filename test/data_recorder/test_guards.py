"""What ends an episode by itself, and what is kept from before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_recorder.episode_writer import Received
from data_recorder.guards import DiskGuard, IdleGuard
from data_recorder.pre_roll import PreRoll
from learned_arm.contract import load_contract

ROBOT = load_contract("pick_cube").robot
JOINTS = "/joint_states"
SECOND_NS = 10**9


def run(guard: IdleGuard, joint_state, seconds: float, moving: bool, start_ns: int = 0) -> int:
    """Feed joint states at 500 Hz; the time at the end."""
    now_ns = start_ns
    for index in range(round(seconds * 500)):
        now_ns = start_ns + index * 2_000_000
        position = [0.0002 * index if moving else 0.0] * ROBOT.dof
        guard.add(JOINTS, now_ns, now_ns, joint_state(now_ns, ROBOT.joints, position))
    return now_ns


def test_an_arm_that_does_nothing_is_warned_of_and_then_ended(joint_state) -> None:
    guard = IdleGuard(ROBOT, warn_s=2.0, end_s=5.0)
    guard.begin(SECOND_NS)
    now_ns = run(guard, joint_state, 1.9, moving=False, start_ns=SECOND_NS)
    assert guard.warning(now_ns) == "" and guard.why_end(now_ns) == ""
    now_ns = run(guard, joint_state, 3.0, moving=False, start_ns=now_ns)
    assert "ends at 5 s" in guard.warning(now_ns) and guard.why_end(now_ns) == ""
    now_ns = run(guard, joint_state, 0.3, moving=False, start_ns=now_ns)
    assert "did nothing for 5 s" in guard.why_end(now_ns)


def test_an_arm_that_moves_is_left_alone(joint_state) -> None:
    guard = IdleGuard(ROBOT, warn_s=1.0, end_s=2.0)
    guard.begin(SECOND_NS)
    now_ns = run(guard, joint_state, 6.0, moving=True, start_ns=SECOND_NS)
    assert guard.warning(now_ns) == "" and guard.why_end(now_ns) == ""


def test_an_arm_that_says_nothing_does_nothing() -> None:
    guard = IdleGuard(ROBOT, warn_s=1.0, end_s=2.0)
    guard.begin(SECOND_NS)
    guard.add(JOINTS, SECOND_NS, SECOND_NS, b"\x00\x01\x00\x00broken")
    assert guard.why_end(3 * SECOND_NS)


def test_what_was_before_the_episode_does_not_count_and_zero_means_never(joint_state) -> None:
    guard, never = IdleGuard(ROBOT, warn_s=1.0, end_s=2.0), IdleGuard(ROBOT, warn_s=1.0, end_s=0.0)
    now_ns = SECOND_NS
    for each in (guard, never):
        each.begin(SECOND_NS)
        now_ns = run(each, joint_state, 100.0, moving=False, start_ns=SECOND_NS)
    assert guard.why_end(now_ns) and not never.why_end(now_ns) and not never.warning(now_ns)
    guard.begin(now_ns)
    assert guard.why_end(now_ns) == ""


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_reserve_of_the_disk_is_never_touched(reserve: int, free: int) -> None:
    guard = DiskGuard(reserve)
    assert bool(guard.objection(free)) == (free < reserve)


@given(
    st.lists(st.tuples(st.integers(0, 5 * 10**8), st.integers(0, 300)), max_size=60),
    st.floats(0.0, 5.0),
    st.integers(0, 2000),
)
def test_a_pre_roll_holds_the_newest_within_its_time_and_its_bytes(
    steps: list[tuple[int, int]], length_s: float, capacity: int
) -> None:
    pre_roll = PreRoll(length_s, capacity)
    now_ns, seen = 0, []
    for step_ns, size in steps:
        now_ns += step_ns
        seen.append(Received(now_ns, "/t", bytes(size), now_ns, None))
        pre_roll.add(seen[-1:])
        assert pre_roll.held_bytes <= capacity
    kept = pre_roll.take(now_ns)
    assert kept == seen[len(seen) - len(kept) :]
    assert all(each.received_ns >= now_ns - round(length_s * 1e9) for each in kept)
    assert pre_roll.held_bytes == 0 and pre_roll.take(now_ns) == []
    if round(length_s * 1e9) and len(kept) < len(seen):
        left_out = seen[-len(kept) - 1] if kept else seen[-1]
        too_old = left_out.received_ns < now_ns - round(length_s * 1e9)
        assert too_old or sum(len(each.data) for each in kept) + len(left_out.data) > capacity

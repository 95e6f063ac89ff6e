"""The door: who holds the lease moves the arm, within limits, for as long as it says so and no longer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.cdr import JointStateView, TrajectoryView
from learned_arm.commander import SOURCES, Command, Commander
from learned_arm.deadman import Deadman
from learned_arm.door_state import State
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot

ROBOT = load_robot("ur5e_sim")
JOINTS, DOF = ROBOT.joints, ROBOT.dof
HOME = np.array(ROBOT.home_rad)
GRIPPER = ROBOT.slices["gripper"].start
MS, SECOND_NS = 1_000_000, 1_000_000_000
PERIOD_NS = ROBOT.control_period_ns
LIMITS = {name: ROBOT.limit(name) for name in ("velocity_rad_s", "acceleration_rad_s2")}
NOTHING = np.empty(0)


class Arm:
    """A commander with a perfect arm, except for joints that something blocks; every command sent is kept."""

    def __init__(self, position: np.ndarray = HOME) -> None:
        self.door, self.now_ns = Commander(ROBOT), 10 * SECOND_NS
        self.measured = position.copy()
        self.blocked: dict[int, float] = {}
        self.sent: list[np.ndarray] = []
        self.measure()

    def measure(self) -> None:
        for joint, highest in self.blocked.items():
            self.measured[joint] = min(self.measured[joint], highest)
        self.door.measure(JointStateView(self.now_ns, JOINTS, self.measured.copy(), NOTHING, NOTHING), self.now_ns)

    def step(self) -> Command:
        """Measure and take one control step."""
        self.now_ns += PERIOD_NS
        self.measure()
        command = self.door.step(self.now_ns, self.now_ns)
        if command.sent_rad is not None:
            self.sent.append(command.sent_rad)
            self.measured = command.sent_rad.copy()
        return command

    def run(self, seconds: float) -> list[Command]:
        return [self.step() for _ in range(round(seconds * SECOND_NS / PERIOD_NS))]

    def engage(self, source: str) -> str:
        return self.door.engage(source, self.now_ns)

    def ask(self, source: str, *points: tuple[float, Any], stamp_ns: int | None = None, **fields: Any) -> bool:
        """Send targets: pairs of seconds from now and positions."""
        stamp_ns = self.now_ns if stamp_ns is None else stamp_ns
        times = np.array([round(seconds * SECOND_NS) for seconds, _ in points], dtype=np.int64)
        positions = np.array([position for _, position in points]) if points else np.empty((0, DOF))
        view = {"names": JOINTS, "time_from_start_ns": times, "positions": positions, **fields}
        return self.door.targets(source, TrajectoryView(stamp_ns, **view), self.now_ns)

    def assert_smooth(self, start: np.ndarray) -> None:
        """Everything sent since keeps velocity and acceleration, beginning at rest at start."""
        path = np.vstack([start, start, *self.sent])
        speed = np.diff(path, axis=0) / (PERIOD_NS / 1e9)
        assert (np.abs(speed) <= LIMITS["velocity_rad_s"] * (1 + 1e-6)).all()
        change = np.diff(speed, axis=0) / (PERIOD_NS / 1e9)
        assert (np.abs(change) <= LIMITS["acceleration_rad_s2"] * (1 + 1e-6)).all()


def moved(radians: float = 0.3) -> np.ndarray:
    """Every joint a way from home, inside the limits."""
    return HOME + radians


@pytest.fixture
def moving() -> Arm:
    """The policy holds the lease and the arm is at speed."""
    arm = Arm()
    arm.engage("policy")
    arm.ask("policy", (0.5, moved()), (5.0, moved()))
    arm.run(0.25)
    assert np.abs(arm.door.safety.velocity_rad_s).min() > 0.3
    return arm


def test_nothing_goes_out_without_a_lease() -> None:
    arm = Arm()
    assert not arm.ask("policy", (0.5, moved()))
    assert all(command.sent_rad is None and command.requested_rad is None for command in arm.run(0.1))
    assert arm.door.state is State.READY and not arm.door.moving_allowed
    assert Commander(ROBOT).state is State.UNCONFIGURED


@pytest.mark.parametrize("other", [source for source in SOURCES if source != "replay"])
def test_only_the_holder_moves_the_arm(other: str) -> None:
    arm = Arm()
    arm.engage("replay")
    assert not arm.ask(other, (0.5, moved()))
    assert all((command.sent_rad == HOME).all() for command in arm.run(0.2))
    assert arm.ask("replay", (0.5, moved()), (1.0, moved()))
    np.testing.assert_array_equal(arm.run(1.0)[-1].sent_rad, moved())


def test_a_human_wins_the_lease_and_loses_it_to_nobody(moving: Arm) -> None:
    assert moving.engage("teleop") == "teleop engaged, taken from policy"
    assert not moving.ask("policy", (0.5, moved()))
    moving.run(0.3)
    assert moving.door.safety.at_rest and moving.door.state is State.HOLDING
    for source in ("policy", "replay", "home"):
        with pytest.raises(LearnedArmError, match=f"the lease is taken; got {source}; allowed: teleop must release"):
            moving.engage(source)
    assert moving.door.holder == "teleop"
    moving.assert_smooth(HOME)


def test_machines_do_not_take_the_lease_from_each_other() -> None:
    arm = Arm()
    arm.engage("policy")
    assert arm.engage("policy") == "policy already holds the lease"
    with pytest.raises(LearnedArmError, match="the lease is taken"):
        arm.engage("replay")
    assert arm.door.release("replay") == "replay does not hold the lease" and arm.door.holder == "policy"
    with pytest.raises(LearnedArmError, match=r"unknown source; got ghost; allowed: \['teleop', 'replay'"):
        arm.engage("ghost")


REFUSED: dict[str, tuple[list[tuple[float, Any]], dict[str, Any], str]] = {
    "wholly in the past": (
        [(-0.5, HOME), (-0.001, HOME)],
        {},
        r"policy: targets end outside the window; got -0.001 s",
    ),
    "endless": ([(121.0, HOME)], {}, "targets end outside the window; got .121.000 s; allowed: 0 .. 120 s"),
    "stamped early": (
        [(0.1, HOME)],
        {"stamp_ns": 8 * SECOND_NS},
        "policy: targets stamped far from now; got -2.1",
    ),
    "stamped late": ([(0.1, HOME)], {"stamp_ns": 20 * SECOND_NS}, "targets stamped far from now; got .9.9"),
    "joint missing": ([(0.1, HOME[1:])], {"names": JOINTS[1:]}, "missing joint shoulder_pan_joint"),
    "joint unknown": ([(0.1, HOME)], {"names": ("tail", *JOINTS[1:])}, "missing joint shoulder_pan_joint"),
    "joint twice": ([(0.1, HOME)], {"names": (JOINTS[1], *JOINTS[1:])}, "duplicate joint"),
    "NaN": ([(0.1, HOME), (0.2, HOME * np.nan)], {}, "joint position not finite"),
    "infinite": ([(0.1, HOME + np.inf)], {}, "joint position not finite"),
    "turned around": ([(0.2, HOME), (0.1, HOME)], {}, "timeline stamps do not increase"),
    "too few positions": ([(0.1, HOME[1:])], {}, "positions do not match joint names"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_targets_that_cannot_be_used_are_refused_and_counted_and_the_arm_holds(name: str) -> None:
    points, fields, words = REFUSED[name]
    arm = Arm()
    arm.engage("policy")
    arm.run(0.1)
    with pytest.raises(LearnedArmError, match=words):
        arm.ask("policy", *points, **fields)
    assert arm.door.refused_targets == 1
    assert all((command.sent_rad == HOME).all() and command.requested_rad is None for command in arm.run(0.3))
    assert arm.door.state is State.HOLDING


def test_a_refused_message_leaves_the_timeline_in_force(moving: Arm) -> None:
    with pytest.raises(LearnedArmError):
        moving.ask("policy", (0.1, HOME * np.nan))
    np.testing.assert_array_equal(moving.run(0.5)[-1].sent_rad, moved())


@given(st.permutations(range(DOF)))
@settings(max_examples=20)
def test_targets_go_by_name(order: list[int]) -> None:
    arm = Arm()
    arm.engage("policy")
    names = tuple(JOINTS[index] for index in order)
    arm.ask("policy", (0.5, moved()[order]), (1.0, moved()[order]), names=names)
    np.testing.assert_array_equal(arm.run(1.0)[-1].sent_rad, moved())


def test_measured_joints_go_by_name() -> None:
    arm = Arm()
    arm.door.measure(JointStateView(0, JOINTS[::-1], HOME[::-1], NOTHING, NOTHING), 0)
    np.testing.assert_array_equal(arm.door.measured_rad, HOME)


def test_the_end_of_a_timeline_brakes_and_holds() -> None:
    arm = Arm()
    arm.engage("policy")
    arm.ask("policy", (0.5, moved()))
    commands = arm.run(1.2)
    assert commands[48].requested_rad is not None and commands[51].requested_rad is None
    assert arm.door.state is State.HOLDING and arm.door.safety.at_rest
    kept = arm.sent[-1]
    assert all((command.sent_rad == kept).all() for command in arm.run(0.2))
    arm.assert_smooth(HOME)


def test_no_points_mean_stop_and_hold(moving: Arm) -> None:
    assert moving.ask("policy")
    moving.run(0.3)
    assert moving.door.safety.at_rest and moving.door.holder == "policy"
    moving.assert_smooth(HOME)


@given(st.floats(-6, 6), st.floats(0.0, 0.3))
@settings(max_examples=30)
def test_the_first_target_never_jumps_from_where_the_arm_is(radians: float, seconds: float) -> None:
    arm = Arm()
    arm.engage("policy")
    arm.ask("policy", (seconds, HOME + radians), (2.0, HOME + radians))
    arm.run(0.5)
    arm.assert_smooth(HOME)


@pytest.mark.parametrize("end", ["release", "stop", "fault"])
def test_however_it_ends_the_arm_brakes_and_then_nothing_is_sent(moving: Arm, end: str) -> None:
    {"release": moving.door.release, "stop": moving.door.stop, "fault": moving.door.fault}[end]("policy")
    commands = moving.run(0.5)
    assert commands[0].sent_rad is not None and commands[-1].sent_rad is None
    assert moving.door.holder is None and moving.door.safety.at_rest
    moving.assert_smooth(HOME)


def test_engaged_again_while_it_still_brakes_it_goes_on_smoothly(moving: Arm) -> None:
    moving.measured -= 0.05
    moving.door.release("policy")
    moving.step()
    moving.engage("replay")
    moving.ask("replay", (0.5, HOME), (3.0, HOME))
    moving.run(1.5)
    np.testing.assert_array_equal(moving.sent[-1], HOME)
    moving.assert_smooth(HOME)


@pytest.mark.parametrize(("end", "state"), [("stop", State.STOPPED), ("fault", State.FAULT)])
def test_stop_and_fault_last_until_they_are_cleared(moving: Arm, end: str, state: State) -> None:
    {"stop": moving.door.stop, "fault": moving.door.fault}[end]("a reason")
    assert moving.door.state is state and not moving.ask("policy", (0.5, moved()))
    for source in SOURCES:
        with pytest.raises(LearnedArmError, match=f"{state.value}: a reason; allowed: call ~/clear_fault first"):
            moving.engage(source)
    assert moving.door.clear_fault() == "ready"
    moving.run(0.5)
    assert moving.step().sent_rad is None
    moving.engage("policy")
    assert moving.step().sent_rad is not None


def test_clearing_nothing_changes_nothing(moving: Arm) -> None:
    assert moving.door.clear_fault() == "engaged" and moving.door.holder == "policy"


def test_joint_states_that_fall_silent_are_a_fault(moving: Arm) -> None:
    silent_ns = moving.now_ns
    while moving.now_ns < silent_ns + 50 * MS:
        moving.now_ns += PERIOD_NS
        moving.sent.append(np.asarray(moving.door.step(moving.now_ns, moving.now_ns).sent_rad))
        assert moving.door.state is State.ENGAGED
    moving.now_ns += PERIOD_NS
    moving.door.step(moving.now_ns, moving.now_ns)
    assert moving.door.state is State.FAULT and moving.door.holder is None
    assert moving.door.reason == "joint states silent for 60 ms, allowed 50 ms"


def test_joint_states_that_are_refused_count_as_silence(moving: Arm) -> None:
    silent_ns = moving.now_ns
    while moving.now_ns < silent_ns + 70 * MS:
        moving.now_ns += PERIOD_NS
        with pytest.raises(LearnedArmError, match="missing joint"):
            moving.door.measure(JointStateView(0, JOINTS[1:], HOME[1:], NOTHING, NOTHING), moving.now_ns)
        moving.door.step(moving.now_ns, moving.now_ns)
    assert moving.door.state is State.FAULT


def test_from_a_state_that_is_not_viable_it_brakes_as_strongly_as_it_may_and_latches_a_fault(moving: Arm) -> None:
    moving.door.safety.velocity_rad_s[1] = speed = 2 * LIMITS["velocity_rad_s"][1]
    before = moving.sent[-1]
    for count in range(1, 6):
        sent = moving.step().sent_rad
        assert sent is not None
        speed -= LIMITS["acceleration_rad_s2"][1] * PERIOD_NS / 1e9
        np.testing.assert_allclose(sent[1] - before[1], speed * PERIOD_NS / 1e9)
        before = sent
        assert moving.door.clamp_counts["not_viable"] == count
        assert moving.door.state is State.FAULT and moving.door.holder is None
    assert moving.door.reason == "braking cannot keep the limits of shoulder_lift_joint"
    moving.run(2.0)
    assert moving.door.state is State.FAULT and moving.step().sent_rad is None
    with pytest.raises(LearnedArmError, match="fault: braking cannot keep"):
        moving.engage("teleop")


def test_an_arm_outside_its_limits_is_not_engaged() -> None:
    arm = Arm()
    arm.measured[0] = 6.31
    arm.measure()
    with pytest.raises(LearnedArmError, match=r"shoulder_pan_joint outside its limits; got 6\.31; allowed: \[-6\.28"):
        arm.engage("teleop")
    arm.measured[GRIPPER], arm.measured[0] = -0.01, 0.0
    arm.measure()
    arm.engage("teleop")
    assert arm.step().sent_rad is not None


@pytest.mark.parametrize("silent", [False, True])
def test_without_the_deadman_the_lease_is_gone_and_the_arm_brakes(silent: bool) -> None:
    arm = Arm()
    arm.door.deadman = deadman = Deadman(0.1)
    with pytest.raises(LearnedArmError, match="deadman never heard"):
        arm.door.engage("policy", arm.now_ns, arm.now_ns)
    deadman.hear(True, arm.now_ns)
    arm.door.engage("policy", arm.now_ns, arm.now_ns)
    arm.ask("policy", (0.5, moved()), (5.0, moved()))
    for _ in range(25):
        deadman.hear(True, arm.now_ns)
        arm.step()
    assert arm.door.state is State.ENGAGED and not arm.door.safety.at_rest
    if silent:
        arm.run(0.12)
        assert arm.door.reason.startswith("deadman silent for 1")
    else:
        deadman.hear(False, arm.now_ns)
        arm.step()
        assert arm.door.reason == "deadman released, lease taken from policy"
    assert arm.door.state is State.READY and arm.door.holder is None
    assert not arm.ask("policy", (0.5, moved()))
    arm.run(0.5)
    assert arm.door.safety.at_rest and arm.step().sent_rad is None
    arm.assert_smooth(HOME)
    # Pressed again, nothing moves before somebody engages again.
    deadman.hear(True, arm.now_ns)
    assert arm.step().sent_rad is None
    arm.door.engage("policy", arm.now_ns, arm.now_ns)


@pytest.mark.parametrize("jump_ns", [60 * MS, 10 * SECOND_NS, -60 * MS, -10 * SECOND_NS])
def test_a_clock_that_is_set_disarms_and_the_arm_brakes_in_time_that_passes(moving: Arm, jump_ns: int) -> None:
    monotonic_ns = moving.now_ns
    moving.now_ns += jump_ns
    for _ in range(60):
        moving.now_ns, monotonic_ns = moving.now_ns + PERIOD_NS, monotonic_ns + PERIOD_NS
        view = JointStateView(moving.now_ns, JOINTS, moving.measured, NOTHING, NOTHING)
        moving.door.measure(view, monotonic_ns)
        sent = moving.door.step(moving.now_ns, monotonic_ns).sent_rad
        assert moving.door.state is State.STOPPED and moving.door.holder is None
        if sent is not None:
            moving.sent.append(sent)
    assert moving.door.reason.startswith("the clock jumped; got ") and moving.door.time_faults == 1
    assert sent is None and moving.door.safety.at_rest
    moving.assert_smooth(HOME)


@pytest.mark.parametrize(
    ("off_ns", "words"), [(10 * SECOND_NS, "stamped in the future"), (-20 * MS, "stamps run backward")]
)
def test_joint_states_of_another_time_disarm(moving: Arm, off_ns: int, words: str) -> None:
    def measure(stamp_ns: int) -> None:
        view = JointStateView(stamp_ns, JOINTS, moving.measured, NOTHING, NOTHING)
        moving.door.measure(view, moving.now_ns, now_ns=moving.now_ns)

    measure(moving.now_ns)
    assert moving.door.state is State.ENGAGED
    with pytest.raises(LearnedArmError, match=words):
        measure(moving.now_ns + off_ns)
    assert moving.door.state is State.STOPPED and words in moving.door.reason
    moving.run(0.5)
    moving.assert_smooth(HOME)
    moving.door.clear_fault()
    measure(moving.now_ns)
    moving.engage("policy")


def test_in_real_time_only_a_fresh_arm_is_engaged(moving: Arm) -> None:
    moving.door.release("policy")
    with pytest.raises(LearnedArmError, match="joint states silent for 51 ms"):
        moving.door.engage("policy", moving.now_ns, moving.now_ns + 51 * MS)
    moving.door.engage("policy", moving.now_ns, moving.now_ns + 50 * MS)


def test_engaging_asks_for_a_measured_arm() -> None:
    with pytest.raises(LearnedArmError, match=r"no measured joint state yet; allowed: \['/joint_states'\]"):
        Commander(ROBOT).engage("policy", 0)
    assert Commander(ROBOT).step(0).sent_rad is None


def test_engaged_again_an_unmoved_gripper_keeps_its_squeeze() -> None:
    arm = Arm()
    arm.blocked[GRIPPER] = 0.5
    closed = HOME.copy()
    closed[GRIPPER] = 0.8
    arm.engage("teleop")
    arm.ask("teleop", (0.6, closed), (1.0, closed))
    arm.run(1.0)
    arm.door.release("teleop")
    arm.run(0.5)
    assert arm.measured[GRIPPER] == 0.5
    arm.engage("policy")
    np.testing.assert_array_equal(arm.step().sent_rad, closed)


def test_jaws_that_still_closed_at_the_release_keep_their_squeeze_while_a_moved_arm_begins_where_it_is() -> None:
    arm = Arm()
    arm.blocked[GRIPPER] = 0.3
    closed = HOME.copy()
    closed[GRIPPER] = 0.8
    arm.engage("teleop")
    arm.ask("teleop", (0.6, closed), (1.0, closed))
    arm.run(1.0)
    arm.door.release("teleop")
    arm.run(0.5)
    arm.blocked, arm.measured = {}, moved(0.1)
    arm.measured[GRIPPER] = 0.5
    arm.measure()
    arm.engage("policy")
    expected = moved(0.1)
    expected[GRIPPER] = 0.8
    np.testing.assert_array_equal(arm.step().sent_rad, expected)


def test_engaged_again_a_moved_arm_begins_where_it_is() -> None:
    arm = Arm()
    arm.engage("teleop")
    arm.run(0.1)
    arm.door.release("teleop")
    arm.run(0.1)
    arm.measured = moved(0.1)
    arm.measure()
    arm.engage("policy")
    np.testing.assert_array_equal(arm.step().sent_rad, moved(0.1))


@pytest.mark.parametrize("jump_ns", [SECOND_NS // 10, -SECOND_NS, 0])
def test_a_jump_of_the_clock_is_no_jump_of_the_arm(moving: Arm, jump_ns: int) -> None:
    before = moving.sent[-1]
    moving.now_ns += jump_ns - PERIOD_NS
    sent = moving.step().sent_rad
    assert sent is not None
    assert (np.abs(sent - before) <= LIMITS["velocity_rad_s"] * 2 * PERIOD_NS / 1e9 + 1e-9).all()


def test_in_lock_step_time_that_runs_backward_disarms(moving: Arm) -> None:
    before = moving.sent[-1]
    moving.door.step(moving.now_ns + PERIOD_NS)
    moving.measure()
    sent = moving.door.step(moving.now_ns - SECOND_NS).sent_rad
    assert moving.door.state is State.STOPPED and moving.door.holder is None
    assert moving.door.reason == "time ran backward; got -1.010 s" and moving.door.time_faults == 1
    assert sent is not None and (np.abs(sent - before) <= 2 * LIMITS["velocity_rad_s"] * PERIOD_NS / 1e9).all()


@pytest.mark.parametrize("paused_ms", [101, 1000])
def test_a_door_that_stood_still_begins_again_at_rest_and_armed_by_nobody(moving: Arm, paused_ms: int) -> None:
    before = moving.sent[-1]
    assert not moving.door.safety.at_rest
    moving.now_ns += paused_ms * MS - PERIOD_NS
    # Said once more, so that a controller of speeds stands too; nothing moves.
    np.testing.assert_array_equal(moving.step().sent_rad, before)
    assert moving.door.state is State.STOPPED and moving.door.holder is None
    assert moving.door.reason == f"the control loop stood still for {paused_ms} ms, allowed 100 ms"
    assert not any(command.sent_rad is not None for command in moving.run(0.5))
    moving.door.clear_fault()
    moving.engage("policy")
    moving.sent.clear()
    moving.ask("policy", (0.5, moved()), (2.0, moved()))
    moving.run(0.5)
    moving.assert_smooth(before)


def test_a_step_that_comes_late_within_bounds_disarms_nobody(moving: Arm) -> None:
    moving.now_ns += 100 * MS - PERIOD_NS
    assert moving.step().sent_rad is not None and moving.door.state is State.ENGAGED


def test_a_holder_that_is_dead_does_not_lock_the_door(moving: Arm) -> None:
    moving.ask("policy", (0.2, moved()))
    moving.run(1.19)
    assert moving.door.state is State.HOLDING and moving.door.holder == "policy"
    with pytest.raises(LearnedArmError, match="the lease is taken"):
        moving.engage("home")
    moving.run(0.05)
    assert moving.door.state is State.READY and moving.door.holder is None
    assert moving.door.reason.startswith("policy silent for 10") and "lease taken from it" in moving.door.reason
    assert moving.ask("policy", (0.2, moved())) is False, "it wakes up, and moves nothing"
    moving.engage("home")


def test_a_holder_that_says_hold_or_follows_a_long_timeline_is_not_dead(moving: Arm) -> None:
    for _ in range(30):
        moving.run(0.1)
        moving.ask("policy")
    assert moving.door.holder == "policy"
    moving.ask("policy", (3.0, moved()))
    moving.run(3.9)
    assert moving.door.holder == "policy"


MOMENTS = st.tuples(
    st.sampled_from(["ask", "engage", "release", "stop", "clear", "push"]),
    st.sampled_from(SOURCES),
    st.floats(-4, 4),
    st.floats(0, 0.4),
    st.integers(1, 12),
)


@given(st.lists(MOMENTS, max_size=25))
@settings(max_examples=100)
def test_whatever_sources_do_nobody_else_moves_the_arm_and_it_moves_smoothly(moments: list) -> None:
    arm, path = Arm(), list[np.ndarray]()
    for what, source, radians, seconds, steps in moments:
        try:
            if what == "engage":
                arm.engage(source)
            elif what == "ask":
                assert arm.ask(source, (seconds, HOME + radians)) == (source == arm.door.holder)
            elif what == "release":
                arm.door.release(source)
            elif what == "clear":
                arm.door.clear_fault()
            elif what == "stop":
                arm.door.stop("asked to")
            elif not arm.sent or arm.door.safety.at_rest:
                arm.measured += 0.01 * np.sign(radians)
        except LearnedArmError:
            pass
        for _ in range(steps):
            command = arm.step()
            if command.sent_rad is None:
                assert arm.door.holder is None and arm.door.safety.at_rest
                path = []
                continue
            assert command.requested_rad is None or arm.door.holder is not None
            assert command.source == (arm.door.holder or "")
            path = [*path[-2:], command.sent_rad]
            speed = np.diff(path, axis=0) / (PERIOD_NS / 1e9)
            assert (np.abs(speed) <= LIMITS["velocity_rad_s"] * (1 + 1e-6)).all()
            change = np.diff(speed, axis=0) / (PERIOD_NS / 1e9)
            assert (np.abs(change) <= LIMITS["acceleration_rad_s2"] * (1 + 1e-6)).all()


HOSTILE = st.tuples(
    st.sampled_from(["ask", "engage", "ask", "jump", "future", "backward", "silence", "let go", "odd", "clear"]),
    st.sampled_from(SOURCES),
    st.floats(-4, 4),
    st.integers(-3 * SECOND_NS, 3 * SECOND_NS),
    st.lists(st.integers(MS, 2 * PERIOD_NS), min_size=1, max_size=8),
)


@given(st.lists(HOSTILE, min_size=3, max_size=20))
@settings(max_examples=200)
def test_whatever_time_does_the_arm_moves_smoothly_in_time_that_passes(moments: list) -> None:
    door, measured, deadman = Commander(ROBOT, Deadman(0.2)), HOME, True
    now_ns, monotonic_ns, silent = 10 * SECOND_NS, 0, False
    before: tuple[np.ndarray, np.ndarray] | None = None
    for what, source, radians, off_ns, pauses in moments:
        silent, deadman = what == "silence", what != "let go"
        for pause_ns in pauses:
            now_ns, monotonic_ns = now_ns + pause_ns, monotonic_ns + pause_ns
            assert door.deadman is not None
            door.deadman.hear(deadman, monotonic_ns)
            try:
                if not silent:
                    stamp_ns = now_ns + {"future": SECOND_NS, "backward": -20 * MS}.get(what, 0)
                    values = np.full(DOF, np.nan) if what == "odd" else measured
                    view = JointStateView(stamp_ns, JOINTS, values, NOTHING, NOTHING)
                    door.measure(view, monotonic_ns, now_ns=now_ns)
                if what == "engage":
                    door.engage(source, now_ns, monotonic_ns)
                elif what == "ask":
                    times = np.array([100 * MS, 2 * SECOND_NS])
                    view = TrajectoryView(now_ns, JOINTS, times, np.array([HOME + radians] * 2))
                    door.targets(door.holder or source, view, now_ns)
                elif what == "clear":
                    door.clear_fault()
            except LearnedArmError:
                pass
            now_ns += off_ns if what == "jump" else 0
            command = door.step(now_ns, monotonic_ns)
            assert door.holder is None or deadman
            if command.sent_rad is None:
                assert door.holder is None
                before = None
                continue
            speed = np.zeros(DOF)
            if before is not None:
                speed = (command.sent_rad - before[0]) / (pause_ns / 1e9)
                assert (np.abs(speed) <= LIMITS["velocity_rad_s"] * (1 + 1e-6)).all()
                change = (speed - before[1]) / (pause_ns / 1e9)
                assert (np.abs(change) <= LIMITS["acceleration_rad_s2"] * (1 + 1e-6)).all()
            before, measured = (command.sent_rad, speed), command.sent_rad
            if what == "jump" and abs(off_ns) > 50 * MS:
                assert door.state in (State.STOPPED, State.FAULT)


def test_requests_and_clamps_are_told() -> None:
    arm = Arm()
    arm.engage("policy")
    arm.ask("policy", (0.0, moved(3.0)), (1.0, moved(3.0)))
    command = arm.step()
    np.testing.assert_array_equal(command.requested_rad, moved(3.0))
    assert "velocity" in command.clamps and arm.door.clamp_counts["velocity"] == 1
    assert command.stamp_ns == arm.now_ns

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_tools.simulation.controllers import ForwardPosition, ForwardVelocity, JointTrajectory

JOINTS = ("a", "b")
MS = 1_000_000


def forward() -> ForwardPosition:
    controller = ForwardPosition(JOINTS)
    controller.hold(np.array([0.1, 0.2]))
    return controller


def trajectory() -> JointTrajectory:
    controller = JointTrajectory(JOINTS)
    controller.hold(np.zeros(2))
    return controller


def test_forward_holds_the_last_command_for_ever() -> None:
    controller = forward()
    assert controller.command([1.0, 2.0])
    assert controller.at(0).tolist() == controller.at(10**18).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("command", "error"),
    [([1.0], "wrong length"), ([1.0, 2.0, 3.0], "wrong length"), ([1.0, np.nan], "not finite")],
)
def test_forward_refuses_and_holds(command: list[float], error: str) -> None:
    controller = forward()
    assert not controller.command(command)
    assert error in str(controller.error)
    assert controller.at(0).tolist() == [0.1, 0.2]
    assert controller.command([0.0, 0.0])
    assert controller.error is None


def speeds() -> ForwardVelocity:
    controller = ForwardVelocity(JOINTS)
    controller.hold(np.array([0.1, 0.2]))
    return controller


def test_a_speed_goes_on_for_ever_and_zero_stays_where_it_is() -> None:
    controller = speeds()
    assert controller.at(0).tolist() == controller.at(10**12).tolist() == [0.1, 0.2]
    assert controller.command(1000 * MS, [1.0, -2.0])
    assert controller.at(1000 * MS).tolist() == [0.1, 0.2]
    assert controller.at(1500 * MS).tolist() == pytest.approx([0.6, -0.8])
    assert controller.at(61_000 * MS).tolist() == pytest.approx([60.1, -119.8])
    assert controller.command(2000 * MS, [0.0, 0.0])
    assert controller.at(9000 * MS).tolist() == pytest.approx([1.1, -1.8])


@pytest.mark.parametrize(
    ("command", "error"), [([1.0], "wrong length"), ([1.0, 2.0, 3.0], "wrong length"), ([1.0, np.inf], "not finite")]
)
def test_a_bad_speed_is_refused_and_the_last_one_goes_on(command: list[float], error: str) -> None:
    controller = speeds()
    controller.command(0, [1.0, 0.0])
    assert not controller.command(500 * MS, command)
    assert error in str(controller.error)
    assert controller.at(1000 * MS).tolist() == pytest.approx([1.1, 0.2])
    controller.hold(np.zeros(2))
    assert controller.error is None and controller.at(9000 * MS).tolist() == [0.0, 0.0]


def test_while_the_clock_is_moved_ahead_no_joint_moves() -> None:
    controller = speeds()
    controller.command(0, [1.0, 0.0])
    controller.skip(100 * MS, 5000 * MS)
    assert controller.at(5000 * MS).tolist() == pytest.approx([0.2, 0.2])
    assert controller.at(5100 * MS).tolist() == pytest.approx([0.3, 0.2])


def test_trajectory_interpolates_from_the_command_in_force_and_holds_its_end() -> None:
    controller = trajectory()
    assert controller.command(1000 * MS, JOINTS, 0, [100 * MS], [[1.0, -1.0]])
    assert controller.at(1050 * MS).tolist() == pytest.approx([0.5, -0.5])
    assert controller.at(5000 * MS).tolist() == [1.0, -1.0]


def test_a_trajectory_replaces_the_former_one() -> None:
    controller = trajectory()
    controller.command(1000 * MS, JOINTS, 0, [100 * MS, 200 * MS], [[1.0, 1.0], [9.0, 9.0]])
    assert controller.command(1050 * MS, JOINTS, 1050 * MS, [100 * MS], [[0.0, 0.0]])
    assert controller.at(1050 * MS).tolist() == pytest.approx([0.5, 0.5])
    assert controller.at(1100 * MS).tolist() == pytest.approx([0.25, 0.25])
    assert controller.at(1200 * MS).tolist() == [0.0, 0.0]


def test_joints_are_matched_by_name() -> None:
    controller = trajectory()
    controller.command(0, ("b", "a"), 0, [MS], [[1.0, 2.0]])
    assert controller.at(MS).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("names", "stamp_ns", "times_ns", "positions", "velocities", "error"),
    [
        (("a",), 0, [MS], [[1.0]], None, "wrong joints"),
        (("a", "a"), 0, [MS], [[1.0, 1.0]], None, "wrong joints"),
        (JOINTS, 0, [2 * MS, 2 * MS], [[1.0, 1.0]] * 2, None, "do not increase"),
        (JOINTS, 0, [2 * MS, MS], [[1.0, 1.0]] * 2, None, "do not increase"),
        (JOINTS, 0, [-MS], [[1.0, 1.0]], None, "do not increase"),
        (JOINTS, 0, [], [], None, "wrong shape"),
        (JOINTS, 0, [MS], [[1.0, np.inf]], None, "not finite"),
        (JOINTS, MS, [MS], [[1.0, 1.0]], None, "ended"),
        (JOINTS, 0, [MS], [[1.0, 1.0]], [[0.5, 0.0]], "not zero"),
    ],
)
def test_trajectory_refuses_and_holds(names, stamp_ns, times_ns, positions, velocities, error) -> None:
    controller = trajectory()
    assert not controller.command(1000 * MS, names, stamp_ns, times_ns, positions, velocities)
    assert error in str(controller.error)
    assert controller.at(2000 * MS).tolist() == [0.0, 0.0]


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6), st.integers(0, 600))
def test_linear_trajectory_stays_between_its_points(heights: list[float], at_ms: int) -> None:
    controller = trajectory()
    times = [(index + 1) * 100 * MS for index in range(len(heights))]
    assert controller.command(1000 * MS, JOINTS, 0, times, [[height, -height] for height in heights])
    value = controller.at((1000 + at_ms) * MS)
    assert min(*heights, 0.0) - 1e-9 <= value[0] <= max(*heights, 0.0) + 1e-9
    assert value[1] == pytest.approx(-value[0])


def test_splines_meet_points_and_speeds() -> None:
    controller = trajectory()
    assert controller.command(0, JOINTS, 0, [1000 * MS, 2000 * MS], [[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]])
    step = 1000
    speed = (controller.at(1000 * MS + step) - controller.at(1000 * MS - step)) / (2 * step / 1e9)
    assert controller.at(1000 * MS).tolist() == pytest.approx([1.0, 0.0])
    assert speed.tolist() == pytest.approx([1.0, 0.0], abs=1e-4)

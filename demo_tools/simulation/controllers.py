"""The ros2_control controllers that the simulated arm offers, with the semantics of the real ones.

Neither raises on a bad command, since a real controller does not: it keeps the last good command, and `error`
says why the newest one was refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Controller(Protocol):
    """What turns commands into the position that the servos track.

    Attributes:
        joints: ROS names, in the controller's order.
        error: Why the newest command was refused, None when it was taken.
    """

    joints: tuple[str, ...]
    error: str | None

    def at(self, now_ns: int) -> Array:
        """Commanded position at a time, rad, shape (joints,)."""
        ...

    def hold(self, position_rad: Array) -> None:
        """Forget every command and hold a position: what activation does."""
        ...

    def skip(self, from_ns: int, to_ns: int) -> None:
        """The clock moves ahead without time passing for the arm."""


class _ForwardVector:
    """forward_command_controller: the newest vector is the command, for ever, without names or timeout.

    A vector with a non-finite entry is dropped. One of a wrong length is an error. Both leave the last
    command.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self.joints = tuple(joints)
        self.error: str | None = None
        self._command = np.zeros(len(self.joints))

    def skip(self, from_ns: int, to_ns: int) -> None:
        """See `Controller.skip`."""

    def _checked(self, command: Sequence[float] | Array) -> Array | None:
        """The vector, or None with the reason in `error`."""
        values = np.array(command, dtype=np.float64)
        if values.shape != self._command.shape:
            self.error = f"wrong length: got {values.size}, allowed {len(self.joints)}"
            return None
        if not np.isfinite(values).all():
            self.error = "not finite: command dropped"
            return None
        self.error = None
        return values


class ForwardPosition(_ForwardVector):
    """position_controllers/JointGroupPositionController: the vector is where the joints shall be."""

    def at(self, now_ns: int) -> Array:
        """See `Controller.at`."""
        return self._command

    def hold(self, position_rad: Array) -> None:
        """See `Controller.hold`."""
        self._command, self.error = np.array(position_rad, dtype=np.float64), None

    def command(self, position_rad: Sequence[float] | Array) -> bool:
        """Take a vector of positions, rad; False when it was refused."""
        values = self._checked(position_rad)
        if values is not None:
            self._command = values
        return values is not None


class ForwardVelocity(_ForwardVector):
    """velocity_controllers/JointGroupVelocityController before drives that keep a speed exactly.

    The joints run on at the last speed until another one comes.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        super().__init__(joints)
        self._position, self._since_ns = np.zeros(len(self.joints)), 0

    def at(self, now_ns: int) -> Array:
        """See `Controller.at`."""
        return self._position + self._command * (max(now_ns - self._since_ns, 0) / 1e9)

    def hold(self, position_rad: Array) -> None:
        """See `Controller.hold`."""
        self._position, self.error = np.array(position_rad, dtype=np.float64), None
        self._command = np.zeros(len(self.joints))

    def skip(self, from_ns: int, to_ns: int) -> None:
        """See `Controller.skip`."""
        self._position, self._since_ns = self.at(from_ns), to_ns

    def command(self, now_ns: int, speed_rad_s: Sequence[float] | Array) -> bool:
        """Take a vector of speeds, rad/s; False when it was refused."""
        values = self._checked(speed_rad_s)
        if values is not None:
            self._position, self._since_ns, self._command = self.at(now_ns), now_ns, values
        return values is not None


class JointTrajectory:
    """joint_trajectory_controller: follows a trajectory that replaces the former one and holds at its end.

    Between the command in force when a trajectory arrives and its points it interpolates linearly, or with
    cubic splines where every point carries velocities.
    """

    def __init__(self, joints: Sequence[str]) -> None:
        self.joints = tuple(joints)
        self.error: str | None = None
        self.hold(np.zeros(len(self.joints)))

    def hold(self, position_rad: Array) -> None:
        """See `Controller.hold`."""
        self.error = None
        self._times_ns = np.zeros(1, dtype=np.int64)
        self._positions = np.array(position_rad, dtype=np.float64)[None]
        self._velocities: Array | None = None

    def at(self, now_ns: int) -> Array:
        """See `Controller.at`."""
        return self._sample(now_ns)[0]

    def skip(self, from_ns: int, to_ns: int) -> None:
        """See `Controller.skip`."""

    def command(
        self,
        now_ns: int,
        names: Sequence[str],
        stamp_ns: int,
        from_start_ns: Sequence[int] | NDArray[np.int64],
        positions_rad: Sequence[Sequence[float]] | Array,
        velocities_rad_s: Sequence[Sequence[float]] | Array | None = None,
    ) -> bool:
        """Take a trajectory; False when it was refused.

        Args:
            now_ns: When it arrived.
            names: Joints in the trajectory's own order; all of them, each once.
            stamp_ns: When it starts; 0 means now.
            from_start_ns: Time of each point after the start, increasing, shape (K,).
            positions_rad: Shape (K, joints).
            velocities_rad_s: Shape (K, joints), or None.
        """
        times_ns = np.asarray(from_start_ns, dtype=np.int64)
        positions = np.array(positions_rad, dtype=np.float64)
        velocities = None if velocities_rad_s is None else np.array(velocities_rad_s, dtype=np.float64)
        start_ns = stamp_ns or now_ns
        self.error = self._refusal(now_ns, tuple(names), start_ns, times_ns, positions, velocities)
        if self.error is not None:
            return False
        order = [list(names).index(joint) for joint in self.joints]
        times_ns, positions = times_ns + start_ns, positions[:, order]
        before, before_velocity = self._sample(now_ns)
        late = times_ns > now_ns
        velocities = None if velocities is None else velocities[:, order]
        if velocities is not None:
            velocities = np.concatenate([before_velocity[None], velocities[late]])
        self._times_ns = np.concatenate([[now_ns], times_ns[late]])
        self._positions = np.concatenate([before[None], positions[late]])
        if not late.any():
            self._positions = positions[-1:]
            velocities = None
        self._velocities = velocities
        return True

    def _refusal(
        self,
        now_ns: int,
        names: tuple[str, ...],
        start_ns: int,
        times_ns: NDArray[np.int64],
        positions: Array,
        velocities: Array | None,
    ) -> str | None:
        if sorted(names) != sorted(self.joints):
            return f"wrong joints: got {list(names)}, allowed {list(self.joints)}"
        shape = (len(times_ns), len(self.joints))
        if len(times_ns) == 0 or positions.shape != shape:
            return f"wrong shape of points: got {positions.shape}, allowed (at least one, {len(self.joints)})"
        if velocities is not None and velocities.shape != shape:
            return f"wrong shape of velocities: got {velocities.shape}, allowed {shape}"
        if not np.isfinite(positions).all() or (velocities is not None and not np.isfinite(velocities).all()):
            return "trajectory not finite"
        if times_ns[0] < 0 or (np.diff(times_ns) <= 0).any():
            return "times from start do not increase"
        if start_ns != now_ns and start_ns + times_ns[-1] < now_ns:
            return f"trajectory ended {(now_ns - start_ns - int(times_ns[-1])) / 1e9:.3f} s ago"
        if velocities is not None and np.abs(velocities[-1]).max() > 1e-6:
            return "velocity at the end of the trajectory is not zero"
        return None

    def _sample(self, now_ns: int) -> tuple[Array, Array]:
        """Position and velocity at a time; the ends are held."""
        times, still = self._times_ns, np.zeros(len(self.joints))
        if now_ns <= times[0]:
            return self._positions[0], still if self._velocities is None else self._velocities[0]
        if now_ns >= times[-1]:
            return self._positions[-1], still
        after = int(np.searchsorted(times, now_ns, side="right"))
        seconds = (times[after] - times[after - 1]) / 1e9
        s = (now_ns - times[after - 1]) / 1e9 / seconds
        p0, p1 = self._positions[after - 1], self._positions[after]
        if self._velocities is None:
            return p0 + s * (p1 - p0), (p1 - p0) / seconds
        m0, m1 = self._velocities[after - 1] * seconds, self._velocities[after] * seconds
        position = p0 + s * m0 + s**2 * (3 * (p1 - p0) - 2 * m0 - m1) + s**3 * (m0 + m1 - 2 * (p1 - p0))
        velocity = m0 + 2 * s * (3 * (p1 - p0) - 2 * m0 - m1) + 3 * s**2 * (m0 + m1 - 2 * (p1 - p0))
        return position, velocity / seconds


CONTROLLERS = {
    "forward_position": ForwardPosition,
    "forward_velocity": ForwardVelocity,
    "joint_trajectory": JointTrajectory,
    # Between the goals of a gripper's action, see `gripper_server`.
    "gripper_command": ForwardPosition,
    "parallel_gripper_command": ForwardPosition,
}
"""Controller by the name of the command adapter that speaks to it."""

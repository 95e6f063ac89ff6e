"""Joint states of one or several topics -> the measured arm: whole, and fresh on every topic, or not at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.cdr import JointStateView
from learned_arm.clock_watch import StampWatch
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.robot import JointStateSource, Robot


class _Stream:
    """What one topic gives: which of the robot's joints, and when it was heard last."""

    def __init__(self, spec: JointStateSource) -> None:
        self.spec = spec
        self.max_age_ns = round(spec.max_age_s * 1e9)
        self.stamps = StampWatch(spec.topic, spec.max_age_s)
        self.order = JointOrder(())
        self.places = np.empty(0, dtype=np.intp)
        self.heard_ns: int | None = None


class MeasuredArm:
    """The newest measured positions.

    A robot with one topic demands every joint in each of its messages. With several, a topic must go on giving the
    joints that it has given before, no two topics may give the same joint, and together they give all.
    """

    def __init__(self, robot: Robot) -> None:
        self._joints = robot.joints
        self._index = {joint: index for index, joint in enumerate(robot.joints)}
        self._streams = {spec.topic: _Stream(spec) for spec in robot.joint_states}
        self._values = np.full(robot.dof, np.nan)
        self._position: NDArray[np.float64] | None = None

    @property
    def position_rad(self) -> NDArray[np.float64] | None:
        """Newest positions in joint order, shape (dof,); None until every joint was measured once."""
        return self._position

    def take(self, topic: str, view: JointStateView, monotonic_ns: int, now_ns: int | None = None) -> None:
        """Take a message.

        Args:
            topic: Where it came from.
            view: The message.
            monotonic_ns: When it was received.
            now_ns: ROS time, to check the stamp against; None in lock-step, where the stamp is the time.

        Raises:
            TimeFaultError: Its stamp lies in the future or before the last one.
            LearnedArmError: It is stale, or a joint is missing, named twice or not finite. Nothing is taken over.
        """
        stream = self._streams[topic]
        if now_ns is not None:
            stream.stamps.see(view.stamp_ns, now_ns)
        names = stream.spec.ours(view.names)
        order = self._order(stream, names)
        positions = order.positions(names, view.position)
        if order is not stream.order:
            stream.places = np.array([self._index[joint] for joint in order.joints], dtype=np.intp)
        values = self._values.copy()
        values[stream.places] = positions
        stream.order, stream.heard_ns, self._values = order, monotonic_ns, values
        if not np.isnan(values).any():
            self._position = values

    def silence(self, monotonic_ns: int) -> str:
        """Which topic has been silent past its age, in words; empty while all are fresh."""
        for topic, stream in self._streams.items():
            if stream.heard_ns is None:
                return f"joint states of {topic} never heard"
            silent_ns = monotonic_ns - stream.heard_ns
            if silent_ns > stream.max_age_ns:
                of = f" of {topic}" if len(self._streams) > 1 else ""
                return f"joint states{of} silent for {silent_ns / 1e6:.0f} ms, allowed {stream.max_age_ns / 1e6:.0f} ms"
        return ""

    def _order(self, stream: _Stream, names: tuple[str, ...]) -> JointOrder:
        if len(self._streams) == 1:
            return stream.order if stream.order.joints else JointOrder(self._joints)
        given = [joint for joint in self._joints if joint in names]
        joints = tuple(joint for joint in self._joints if joint in given or joint in stream.order.joints)
        if joints == stream.order.joints and joints:
            return stream.order
        if not joints:
            raise LearnedArmError(
                "no joint of this robot", where=stream.spec.topic, got=list(names), allowed=list(self._joints)
            )
        for topic, other in self._streams.items():
            twice = sorted(set(joints) & set(other.order.joints))
            if other is not stream and twice:
                where = f"{topic}, {stream.spec.topic}"
                raise LearnedArmError("a joint on two topics", where=where, got=twice, allowed="each on one")
        return JointOrder(joints)

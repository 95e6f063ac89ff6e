"""What ends an episode by itself: a disk that fills up, an arm that does nothing. No clock, no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.motion import IdleWatch, thresholds_rad_s
from learned_arm.robot import Robot

# A motion shows at this spacing; joint states come much faster.
_LOOK_NS = 50_000_000
# Topics of one robot are a little apart in their stamps; more than this back is a clock that was set.
_SET_BACK_NS = 1_000_000_000


@dataclass(frozen=True)
class DiskGuard:
    """Keeps a part of the disk free.

    Attributes:
        reserve_bytes: What must stay free.
    """

    reserve_bytes: int

    def objection(self, free_bytes: int) -> str:
        """Why no episode may start, and why a running one must end, or ''."""
        if free_bytes >= self.reserve_bytes:
            return ""
        return f"disk nearly full: {free_bytes / 1e6:.0f} MB free, {self.reserve_bytes / 1e6:.0f} MB are kept free"


class IdleGuard:
    """Says when an arm has done nothing for too long.

    Time is that of the header stamps; while no joint state comes, it is that of the receiver.

    Args:
        robot: Its joints and their ranges.
        warn_s: Idle time from which on it warns.
        end_s: Idle time after which the episode ends; 0 never.
    """

    def __init__(self, robot: Robot, warn_s: float, end_s: float) -> None:
        self._joints = {joint: index for index, joint in enumerate(robot.joints)}
        self._sources = {source.topic: source for source in robot.joint_states}
        self._position: NDArray[np.float64] = np.full(robot.dof, np.nan)
        self._watch = IdleWatch(thresholds_rad_s(robot.limit("position_rad")))
        self._warn_s, self._end_s = warn_s, end_s
        self._looked_ns: dict[str, int] = {}
        self._newest_ns = self._heard_ns = 0

    @property
    def topics(self) -> frozenset[str]:
        """Topics that it looks at."""
        return frozenset(self._sources)

    def begin(self, now_ns: int) -> None:
        """An episode starts: what was before does not count."""
        self._watch.clear()
        self._looked_ns.clear()
        self._newest_ns, self._heard_ns = 0, now_ns

    def add(self, topic: str, received_ns: int, stamp_ns: int, data: bytes) -> None:
        """Look at a joint state; one that cannot be read is passed over."""
        if 0 <= stamp_ns - self._looked_ns.get(topic, 0) < _LOOK_NS:
            return
        try:
            state = cdr.read_joint_state(data)
        except LearnedArmError:
            return
        names = self._sources[topic].ours(state.names)
        for joint, position in zip(names, state.position.tolist(), strict=False):
            if joint in self._joints:
                self._position[self._joints[joint]] = position
        self._looked_ns[topic] = stamp_ns
        if stamp_ns < self._newest_ns - _SET_BACK_NS:
            self._newest_ns = 0
        if stamp_ns > self._newest_ns and np.isfinite(self._position).all():
            self._newest_ns, self._heard_ns = stamp_ns, received_ns
            self._watch.add(stamp_ns, self._position.copy())

    def idle_s(self, now_ns: int) -> float:
        """How long the arm has done nothing."""
        return max(self._watch.idle_ns, now_ns - self._heard_ns) / 1e9

    def warning(self, now_ns: int) -> str:
        """A warning, or ''."""
        idle_s = self.idle_s(now_ns)
        if not self._end_s or idle_s < self._warn_s:
            return ""
        return f"the arm has been idle for {idle_s:.0f} s; the episode ends at {self._end_s:g} s"

    def why_end(self, now_ns: int) -> str:
        """Why the episode must end, or ''."""
        idle_s = self.idle_s(now_ns)
        return f"idle: the arm did nothing for {idle_s:.0f} s" if self._end_s and idle_s >= self._end_s else ""

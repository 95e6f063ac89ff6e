"""Where an episode began, from its own first messages; live and when a bag is recovered."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from data_recorder.topics import SIM_STATE
from learned_arm import cdr
from learned_arm.contract import Contract
from learned_arm.episode import InitialState
from learned_arm.errors import LearnedArmError

_LARGEST_BYTES = 8_000_000


class InitialStateCapture:
    """Takes messages until the first position of every joint is known.

    The simulator's state is the last one seen before that moment: it is latched, so that the one in force
    when recording started is the first message of the bag.
    """

    def __init__(self, contract: Contract) -> None:
        self._joints = contract.robot.joints
        self._topics = frozenset(source.topic for source in contract.robot.joint_states)
        self._positions: dict[str, float] = {}
        self._sim_state: tuple[float, ...] | None = None
        self._stamp_ns = 0

    @property
    def complete(self) -> bool:
        """Whether every joint's position is known."""
        return len(self._positions) == len(self._joints)

    @property
    def topics(self) -> Collection[str]:
        """Topics that it looks at."""
        return self._topics | {SIM_STATE}

    def add(self, topic: str, data: bytes) -> None:
        """Look at one message; one that cannot be read, or is huge, is passed over, and stays in the bag."""
        if self.complete or len(data) > _LARGEST_BYTES:
            return
        try:
            if topic == SIM_STATE:
                values = cdr.read_float64_array(data)
                self._sim_state = tuple(values.tolist()) if np.isfinite(values).all() else None
            elif topic in self._topics:
                state = cdr.read_joint_state(data)
                if len(state.names) != len(state.position):
                    return
                for joint, position in zip(state.names, state.position.tolist(), strict=True):
                    if joint in self._joints and np.isfinite(position):
                        self._positions.setdefault(joint, position)
                        self._stamp_ns = state.stamp_ns
        except LearnedArmError:
            return

    def state(self) -> InitialState | None:
        """The initial state, None when a joint never showed up: a missing one is not made up."""
        if not self.complete:
            return None
        positions = {joint: self._positions[joint] for joint in self._joints}
        return InitialState(self._stamp_ns, positions, self._sim_state)

"""An arm's driver that can be broken: goes where it was commanded to at once and says so, at the control rate."""

from __future__ import annotations

import random
import sys
from functools import partial
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from benchmarks.faults.part import Part
from benchmarks.faults.shared import LastWords
from benchmarks.faults.world import RADIUS_RAD
from learned_arm import cdr
from learned_arm.contract import load_contract
from learned_arm.ros import messages, qos
from learned_arm.ros.listener import Listener
from learned_arm.ros.node import parameter, run

_OFF_NS = 10_000_000_000
FAULTS = ("silent", "frozen", "reordered", "missing", "duplicate", "nan", "future", "backward")


class Driver(Part):
    """Takes forward-position commands, publishes joint states.

    Parameters `contract`, `last_words` (a file) and `position_rad`.
    """

    def __init__(self) -> None:
        super().__init__("driver", 1.0, FAULTS)
        self._robot = load_contract(str(parameter(self, "contract", "pick_cube", "names the robot"))).robot
        self._period_s = 1.0 / self._robot.control_rate_hz
        start = np.array(self._robot.home_rad)
        start[0] += RADIUS_RAD
        where = "where the arm stands, joint order"
        self._position = np.array(parameter(self, "position_rad", start.tolist(), where), dtype=np.float64)
        self._out = self.create_publisher(JointState, self._robot.joint_states[0].topic, qos.small())
        self._frozen_ns = 0
        self._random = random.Random(0)
        words = str(parameter(self, "last_words", "", "the file of its last joint state; empty: none"))
        self._last_words = LastWords(Path(words)) if words else None
        self._listener = Listener(self, "commands")
        for group in self._robot.groups:
            take = partial(self._on_command, self._robot.slices[group.name])
            self._listener.listen(Float64MultiArray, group.command.topic, qos.small(), take)
        self._listener.start()
        self.start()

    def close(self) -> None:
        """See `Part`."""
        super().close()
        self._listener.close()

    def struck(self, fault: str) -> None:
        """See `Part`."""
        self._frozen_ns = 0

    def _on_command(self, place: slice, raw: bytes, _info: object) -> None:
        position = self._position.copy()
        position[place] = cdr.read_float64_array(raw)
        self._position = position

    def publish(self, now_ns: int) -> None:
        """One joint state, or what is left of it."""
        fault, position = self.fault, self._position
        if fault == "silent":
            return
        if fault == "frozen":
            self._frozen_ns = self._frozen_ns or now_ns
        off_ns = {"future": _OFF_NS, "backward": -_OFF_NS}.get(fault, 0)
        stamp_ns = self._frozen_ns if fault == "frozen" else now_ns + off_ns
        order = list(range(self._robot.dof))
        if fault == "reordered":
            self._random.shuffle(order)
        elif fault == "missing":
            del order[2]
        elif fault == "duplicate":
            order[2] = 1
        elif fault == "nan":
            position = np.where(np.arange(self._robot.dof) == 1, np.nan, position)
        names = [self._robot.joints[index] for index in order]
        raw = serialize_message(messages.joint_state(stamp_ns, names, position[order]))
        if self._last_words is not None:
            self._last_words.put(raw)
        self._out.publish(raw)


if __name__ == "__main__":
    sys.exit(run(Driver))

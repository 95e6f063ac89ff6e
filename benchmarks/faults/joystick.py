"""A joystick whose button is the deadman switch: held, released, or unplugged."""

from __future__ import annotations

import sys

from sensor_msgs.msg import Joy

from benchmarks.faults.part import Part
from benchmarks.faults.world import DEADMAN
from learned_arm.ros import qos
from learned_arm.ros.node import run

_REPEAT_S = 0.05
FAULTS = ("released", "silent")


class Joystick(Part):
    """Repeats itself, as a joystick driver with autorepeat does."""

    def __init__(self) -> None:
        super().__init__("joystick", _REPEAT_S, FAULTS)
        self._out = self.create_publisher(Joy, DEADMAN, qos.small())
        self.start()

    def struck(self, fault: str) -> None:
        """See `Part`."""

    def publish(self, now_ns: int) -> None:
        """The button."""
        if self.fault != "silent":
            self._out.publish(Joy(buttons=[int(self.fault != "released")]))


if __name__ == "__main__":
    sys.exit(run(Joystick))

"""The door as it is, and beside it a file of when it accepted which timeline. Parameter: `accepted`, its path."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from arm_control.arm_node import ArmNode
from learned_arm.cdr import TrajectoryView
from learned_arm.durable import write_json
from learned_arm.ros.node import run


class TimedDoor(ArmNode):
    """See the module. CLOCK_MONOTONIC is the same in every process of a machine."""

    def __init__(self) -> None:
        super().__init__()
        self._path = Path(str(self.declare_parameter("accepted", "accepted.json").value))
        self._accepted_ns: dict[int, int] = {}

    def close(self) -> None:
        """Write the file."""
        super().close()
        write_json(self._path, {str(stamp_ns): at_ns for stamp_ns, at_ns in self._accepted_ns.items()})

    def _take(self, source: str, view: TrajectoryView, now_ns: int) -> None:
        super()._take(source, view, now_ns)
        self._accepted_ns[view.stamp_ns] = time.monotonic_ns()


if __name__ == "__main__":
    sys.exit(run(TimedDoor))

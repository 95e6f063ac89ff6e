"""Runs a node in a world whose system clock can be set: `python -m benchmarks.faults.clock <module> [arguments]`.

All processes of a rig read the same offset from one file in memory, so that the clock jumps for all of them at once,
as it does when somebody sets the clock of a machine. The clock of this machine stays as it is; monotonic time too.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration

from benchmarks.faults.held import HELD_VARIABLE, obey
from benchmarks.faults.shared import SharedNumber
from benchmarks.faults.world import CLOCK_VARIABLE


def follow(offset: SharedNumber) -> None:
    """From now on the system time of this process, and so the clocks of its nodes, is ahead by the offset, ns."""
    real, real_ns = Clock.now, time.time_ns

    def time_ns() -> int:
        return real_ns() + offset.value

    def now(self: Clock) -> Any:
        found = real(self)
        return found + Duration(nanoseconds=offset.value) if self.clock_type == ClockType.ROS_TIME else found

    Clock.now = now  # type: ignore[method-assign]
    time.time_ns = time_ns


def main() -> None:
    """Run the module that the first argument names."""
    follow(SharedNumber(Path(os.environ[CLOCK_VARIABLE])))
    obey(Path(os.environ[HELD_VARIABLE]))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

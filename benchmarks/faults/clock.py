"""Runs a node in a world whose system clock can be set: `python -m benchmarks.faults.clock <module> [arguments]`.

All processes of a rig read the same offset from one file in memory, so that the clock jumps for all of them at once,
as it does when somebody sets the clock of a machine. The clock of this machine stays as it is; monotonic time too.
"""

from __future__ import annotations

import mmap
import os
import runpy
import struct
import sys
from pathlib import Path
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration

from benchmarks.faults.held import HELD_VARIABLE, Word, obey
from benchmarks.faults.world import CLOCK_VARIABLE

_OFFSET = struct.Struct("<q")


class SharedOffset:
    """What has been added to the system clock, ns.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_OFFSET.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _OFFSET.size)

    @property
    def ns(self) -> int:
        """The offset in force."""
        return _OFFSET.unpack_from(self._memory)[0]

    def add(self, jump_ns: int) -> None:
        """Set the clock."""
        _OFFSET.pack_into(self._memory, 0, self.ns + jump_ns)


def follow(offset: SharedOffset) -> None:
    """From now on the clocks of this process's nodes show the system time plus the offset."""
    real = Clock.now

    def now(self: Clock) -> Any:
        found = real(self)
        return found + Duration(nanoseconds=offset.ns) if self.clock_type == ClockType.ROS_TIME else found

    Clock.now = now  # type: ignore[method-assign]


def main() -> None:
    """Run the module that the first argument names."""
    follow(SharedOffset(Path(os.environ[CLOCK_VARIABLE])))
    obey(Word(Path(os.environ[HELD_VARIABLE])))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

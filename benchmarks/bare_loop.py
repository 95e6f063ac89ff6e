"""The floor under `tick_jitter`: sleeps until each tick and does nothing. Prints its lateness when it is ended.

`python -m benchmarks.bare_loop <rate_hz> <ticks to look back> <realtime_priority>`
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import asdict

from learned_arm.control_grid import ControlGrid
from learned_arm.ros.priority import take_priority


def main() -> int:
    """Run until SIGINT."""
    rate_hz, window, priority = (int(each) for each in sys.argv[1:4])
    take_priority(priority)
    running = True

    def stop(_signal: int, _frame: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGINT, stop)
    grid = ControlGrid(round(1e9 / rate_hz), time.monotonic_ns(), window)
    while running:
        pause_s = (grid.due_ns - time.monotonic_ns()) / 1e9
        if pause_s > 0:
            time.sleep(pause_s)
        grid.begin(time.monotonic_ns())
    print(json.dumps({**asdict(grid.lateness()), "missed": grid.missed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

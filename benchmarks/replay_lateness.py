"""How late `replay_node` plays its labels in real time, while two 640x480 cameras stream beside it.

Real nodes: the simulated arm in real time with its own two cameras, `arm_node`, and a replay node for each replay. This
process streams two more cameras at 30 Hz, which another one takes. A loop that only sleeps until each tick of the
contract runs beside them: what it is late, the machine is late.

`python -m benchmarks.replay_lateness [replays]`
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from sensor_msgs.msg import Image

from benchmarks.processes import Processes, join_domain, own_domain
from benchmarks.result import Result
from benchmarks.streams import HEIGHT, WIDTH, Stamped, image
from benchmarks.topics import CAMERAS
from demo_tools.flow import stages
from demo_tools.flow.ending import end_by_sigterm
from demo_tools.flow.run_folder import RunFolder
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import qos, transport

REPLAYS = 5
CAMERA_HZ = 30
_PATIENCE_S = 120.0
_LOOK_BACK_TICKS = 10_000


class Cameras:
    """Streams two cameras from a thread, until it is closed."""

    def __init__(self) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node("two_cameras")
        self._publishers = [self._node.create_publisher(Image, topic, qos.images_out()) for topic in CAMERAS[:2]]
        self._pictures = [Stamped(image(seed)) for seed in range(2)]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._stream, name="cameras", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._ending.set()
        self._thread.join(2.0)
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _stream(self) -> None:
        next_s = time.monotonic()
        while not self._ending.is_set():
            for publisher, picture in zip(self._publishers, self._pictures, strict=True):
                publisher.publish(picture.at(time.time_ns()))
            next_s += 1 / CAMERA_HZ
            time.sleep(max(next_s - time.monotonic(), 0.0))


def measure(replays: int = REPLAYS) -> Result:
    """Record an episode, replay it so often."""
    contract, domain = load_contract("pick_cube"), own_domain()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        recorded = stages.record(RunFolder(folder / "run"), contract, 1, 1, lambda _outcome: None)
        episode = recorded[0].folder
        join_domain(domain)
        with Processes(domain, folder) as processes:
            processes.start("demo_tools.simulation.node", "--ros-args", "-p", "contract:=pick_cube")
            processes.start("arm_control.arm_node", "--ros-args", "-p", "contract:=pick_cube")
            processes.start("benchmarks.idle_subscriber")
            processes.start("benchmarks.bare_loop", str(contract.rate_hz), str(_LOOK_BACK_TICKS), "0")
            cameras = Cameras()
            try:
                verdicts = [_replayed(domain, episode, folder / f"{index}") for index in range(replays)]
                processes.check()
            finally:
                cameras.close()
            processes.stop("benchmarks.bare_loop")
            bare = json.loads((folder / "benchmarks.bare_loop.log").read_text())
    return _result(contract, verdicts, bare)


def _replayed(domain: int, episode: Path, into: Path) -> Verdict:
    argv = [sys.executable, "-m", "demo_tools.replay.node", "--ros-args", "-p", "exit_when_done:=true"]
    argv += ["-p", f'episode:="{episode}"', "-p", f'verdict_folder:="{into}"', "-p", "preflight:=false"]
    subprocess.run(argv, env=transport.environment(domain), timeout=_PATIENCE_S, check=False)
    found = Verdict.load(into)
    if found is None or not found.tracking.get("ticks"):
        raise LearnedArmError("nothing was played", where=into, got=found and found.reason)
    return found


def _result(contract: Contract, verdicts: list[Verdict], bare: dict[str, float]) -> Result:
    late = {name: [each.lateness[f"{name}_ms"] for each in verdicts] for name in ("p50", "p99", "max")}
    period_ms = contract.robot.control_period_ns / 1e6
    worst = max(late["p99"])
    return Result(
        name="replay_lateness",
        value=round(worst, 3),
        unit="ms late at p99, the worst replay",
        bar=period_ms,
        better="lower",
        holds={"every replay passed": all(each.verdict == "passed" for each in verdicts)},
        details={
            "p99_ms": late["p99"],
            "median_ms": float(np.median(late["p50"])),
            "max_ms": max(late["max"]),
            "bare_loop_ms": {"p99": round(bare["p99_ms"], 3), "max": round(bare["max_ms"], 3)},
            "ratio_p99": round(float(np.median(late["p99"])) / bare["p99_ms"], 2),
            "verdicts": [each.verdict for each in verdicts],
            "load": f"2 cameras {WIDTH}x{HEIGHT} at {CAMERA_HZ} Hz besides the simulated arm's own two",
        },
    )


def main() -> int:
    """Measure, print, save."""
    result = measure(int(sys.argv[1]) if len(sys.argv) > 1 else REPLAYS)
    details = result.details
    print(result.line())
    each = ", ".join(f"{late_ms:.2f}" for late_ms in details["p99_ms"])
    print(f"  p99 of each replay: {each} ms, max {details['max_ms']:.2f}; {details['verdicts']}")
    print(f"  bare loop p99 {details['bare_loop_ms']['p99']} ms, ratio {details['ratio_p99']}")
    print(f"  {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())

"""CPU and losses of recorder_node at 3 cameras of 640x480 at 30 Hz plus 500 Hz joint states (83 MB/s to disk).

The floor is a process with the same raw subscriptions that does nothing, beside it over the same seconds: whatever else
the machine does meanwhile falls on both. Where `ros2 bag record` is installed, it records the same beside them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from std_srvs.srv import Trigger

from benchmarks.processes import CpuMeter, Processes, join_domain, own_domain
from benchmarks.result import RESULTS, Result
from benchmarks.topics import CAMERAS, JOINT_STATES
from demo_tools.flow.ending import end_by_sigterm
from demo_tools.flow.operator import Operator
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, load_episode
from learned_arm.errors import LearnedArmError

CAMERA_HZ, JOINT_HZ = 30.0, 500.0
RECORD_S, SETTLE_S = 15.0, 3.0
RATIO_BAR = 1.5
# Of a core, at 83 MB/s.
LARGEST_SHARE = 0.20
RECORDER = "/recorder_node"
_SPARE_BYTES = 3_000_000_000


def bench_contract() -> Contract:
    """The shipped task with three 640x480 cameras."""
    value = load_contract("pick_cube").canonical()
    value["observation"]["cameras"] = {
        f"camera_{index}": {"topic": topic, "size": [480, 640], "max_age_s": 0.1, "latency_s": 0.0}
        for index, topic in enumerate(CAMERAS)
    }
    return Contract.from_canonical(value)


def measure(record_s: float = RECORD_S) -> Result:
    """Run the benchmark; about half a minute, and 1.3 GB of disk while it runs.

    Raises:
        LearnedArmError: No room on disk, or a process died.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(RESULTS).free
    if free < _SPARE_BYTES:
        raise LearnedArmError(
            "no room for the recording", where=RESULTS, got=free, allowed=f"{_SPARE_BYTES} bytes free"
        )
    domain = own_domain()
    join_domain(domain)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix=".recorder_load_") as scratch:
        folder = Path(scratch).resolve()
        # JSON is YAML: the canonical form is a contract file.
        contract = folder / "contract.yaml"
        contract.write_text(json.dumps(bench_contract().canonical()))
        with Processes(domain, folder) as processes:
            source = processes.start(
                "benchmarks.load_source",
                "--ros-args",
                "-p",
                f"camera_hz:={CAMERA_HZ}",
                "-p",
                f"joint_hz:={JOINT_HZ}",
            )
            floor_pid = processes.start("benchmarks.idle_subscriber")
            recorder = processes.start(
                "data_recorder.node",
                "--ros-args",
                "-p",
                f"contract:={contract}",
                "-p",
                f"root:={folder / 'demos'}",
            )
            peer = _start_peer(processes, folder)
            with Operator(domain, processes.check, success_topic=None) as operator:
                operator.expect(RECORDER, start=Trigger, success=Trigger)
                _run_for(operator, SETTLE_S)
                operator.trigger(RECORDER, "start", {"operator": "benchmark"})
                meter, floor, load = CpuMeter(recorder), CpuMeter(floor_pid), CpuMeter(source)
                rival = CpuMeter(peer) if peer is not None else None
                start_s = time.monotonic()
                _run_for(operator, record_s)
                shares = meter.share(), floor.share(), load.share()
                memory_mb, peer_share = meter.memory_mb(), rival.share() if rival is not None else None
                seconds = time.monotonic() - start_s
                operator.trigger(RECORDER, "success", {"reason": "benchmark"})
                operator.wait(lambda: bool(operator.statuses[RECORDER].get("episode")), 60.0, "the recorder to finish")
                episode = load_episode(operator.statuses[RECORDER]["episode"])
    return _result(episode, *shares, seconds, memory_mb, peer_share)


def _start_peer(processes: Processes, folder: Path) -> int | None:
    """The C++ recorder on the same topics, where it is installed."""
    program = shutil.which("ros2")
    if program is None:
        return None
    argv = [program, "bag", "record", "-s", "mcap", "-o", str(folder / "peer"), *CAMERAS, JOINT_STATES]
    return processes.run(argv, "ros2_bag_record")


def _run_for(operator: Operator, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    operator.wait(lambda: time.monotonic() >= end_s, seconds + 5.0, "time to pass")


def _result(
    episode: Episode,
    share: float,
    floor_share: float,
    source_share: float,
    seconds: float,
    memory_mb: float,
    peer_share: float | None,
) -> Result:
    streams = {topic: episode.streams[topic] for topic in (*CAMERAS, JOINT_STATES)}
    rates = {
        topic: (each.messages - 1) * 1e9 / max((each.last_ns or 0) - (each.first_ns or 0), 1)
        for topic, each in streams.items()
    }
    expected = {topic: JOINT_HZ if topic == JOINT_STATES else CAMERA_HZ for topic in streams}
    return Result(
        name="recorder_load",
        value=round(share / max(floor_share, 1e-6), 3),
        unit="x the CPU of idle raw subscriptions",
        bar=RATIO_BAR,
        better="lower",
        holds={
            f"at most {LARGEST_SHARE:.0%} of a core": share <= LARGEST_SHARE,
            "no message lost": all(each.lost == 0 for each in streams.values()),
            "the load came at its rate": all(rates[topic] > 0.95 * wanted for topic, wanted in expected.items()),
        },
        details={
            "recorder_share_of_a_core": round(share, 4),
            "floor_share_of_a_core": round(floor_share, 4),
            "source_share_of_a_core": round(source_share, 4),
            "recorder_memory_mb": round(memory_mb, 1),
            "ros2_bag_record_share_of_a_core": None if peer_share is None else round(peer_share, 4),
            "seconds": round(seconds, 2),
            "lost": {topic: each.lost for topic, each in streams.items()},
            "dropped": {topic: each.dropped for topic, each in streams.items()},
            "messages": {topic: each.messages for topic, each in streams.items()},
            "rate_hz": {topic: round(rate, 2) for topic, rate in rates.items()},
            "largest_gap_ms": {topic: round(each.largest_gap_ns / 1e6, 2) for topic, each in streams.items()},
        },
    )


def main() -> int:
    """Measure (for as many seconds as the first argument says), print, save."""
    result = measure(float(sys.argv[1]) if len(sys.argv) > 1 else RECORD_S)
    details = result.details
    print(result.line())
    print(
        f"  recorder {details['recorder_share_of_a_core']:.1%} of a core, idle subscriber "
        f"{details['floor_share_of_a_core']:.1%}, ratio {result.value:.2f}; "
        f"{details['recorder_memory_mb']:.0f} MB; {result.save()}"
    )
    peer = details["ros2_bag_record_share_of_a_core"]
    print("  ros2 bag record: " + ("not installed" if peer is None else f"{peer:.1%} of a core"))
    for topic, rate in details["rate_hz"].items():
        print(f"  {topic:<30} {rate:7.2f} Hz  {details['messages'][topic]:6d} messages  lost {details['lost'][topic]}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())

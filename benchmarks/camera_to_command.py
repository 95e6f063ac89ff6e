"""From a camera's publish to the timeline accepted by the door, against what no code could do without.

The policy's way: picture -> `policy_node` -> targets -> `arm_node`, until it has accepted them. The floor has the same
hops, of a picture and of a small message, and between them one cv2.resize a camera and one bare ONNX Runtime call:
picture -> echo node -> small message -> relay, until it has come. It does them where the policy does, between the
hops, with the caches as they are there. Both ways begin with the publish of the last picture of a tick;
CLOCK_MONOTONIC, the same in every process, is read at their ends. What follows is told apart: `camera_to_command_ms`
also holds the control step and the command's hop to the driver.

Both are measured side by side in one run: within each camera period pictures go to the echo node, others to the policy
node. Every process is pinned: the desk, which plays cameras and driver, relay and door to one CPU, echo and policy node
to another.

Both nodes work in lock-step, where they answer as soon as everything is there: the wait for the next tick of a grid
depends on the phase of the camera, not on the code, and is no part of the figure. `benchmarks.tick_wait` measures the
one that a robot adds: from acceptance to the next control tick of an `arm_node` in real time.

`python -m benchmarks.camera_to_command [pictures]`
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import SetBool

from benchmarks.policy_model import write_policy
from benchmarks.processes import CpuMeter, Processes, join_domain, own_domain
from benchmarks.result import Result, spread
from benchmarks.streams import HEIGHT, WIDTH, Stamped, image, joint_state
from benchmarks.tick_wait import wait_for_tick_ms
from benchmarks.topics import CAMERAS, ECHO_IMAGES, JOINT_STATES, RELAY
from demo_tools.flow.ending import end_by_sigterm
from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError
from learned_arm.ros import qos

RATE_HZ = 30
WARM_UP_FRAMES = 30
FRAMES = 400
MEDIAN_BAR, P99_BAR = 1.15, 1.5
CASES = {1: "one_camera", 2: "two_cameras"}
_START_S = 30.0
_ACCEPTED, _TIMES = "accepted.json", "times.json"
# Within a camera period. Joint states come well before the picture, as they do where they come every few milliseconds.
_JOINTS_AT_S, _POLICY_AT_S = 0.012, 0.016


def bench_contract(cameras: int = 1) -> Contract:
    """The shipped task with 640x480 cameras at 30 Hz; every tick is a control tick, so lock-step knows no wait."""
    value = load_contract("pick_cube").canonical()
    value["rate_hz"] = value["robot"]["control_rate_hz"] = RATE_HZ
    value["observation"]["cameras"] = {
        name: {"topic": topic, "size": [96, 96], "max_age_s": 0.1, "latency_s": 0.0}
        for name, topic in list(zip(("front", "wrist"), CAMERAS, strict=False))[:cameras]
    }
    return Contract.from_canonical(value)


def cpus() -> tuple[int, int]:
    """The CPU of the desk and that of the policy; the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


class Desk(Node):
    """Cameras and driver in one node: sends pictures and notes when the answers come."""

    def __init__(self, contract: Contract) -> None:
        super().__init__("desk")
        self._engage = self.create_client(SetBool, "/policy_node/engage")
        self._asked: Any = None
        self.engaged = False
        topics = [camera.topic for camera in contract.cameras.values()]
        self._to = {
            "echo": [self.create_publisher(Image, topic, qos.images_out()) for topic in ECHO_IMAGES[: len(topics)]],
            "policy": [self.create_publisher(Image, topic, qos.images_out()) for topic in topics],
        }
        self._joints = self.create_publisher(JointState, JOINT_STATES, qos.small())
        self._pictures = [Stamped(image(seed)) for seed in range(len(topics))]
        self._positions = Stamped(joint_state(contract.robot.joints, contract.robot.home_rad))
        self.create_subscription(Header, RELAY, self._on_relay, qos.small(), raw=True)
        # The command carries no stamp; `/arm/sent`, which the door publishes right behind it, says whose it was.
        command = contract.robot.groups[0].command.topic
        self.create_subscription(Float64MultiArray, command, self._on_command, qos.small(), raw=True)
        self.create_subscription(JointState, "/arm/sent", self._on_sent, qos.small(), raw=True)
        self._command_ns = 0
        self.sent_ns: dict[str, dict[int, int]] = {"echo": {}, "policy": {}}
        self.relayed_ns: dict[int, int] = {}
        self.commanded_ns: dict[int, int] = {}

    def show_echo(self, stamp_ns: int) -> None:
        """Pictures to the echo node."""
        self._show("echo", stamp_ns)

    def show_policy(self, stamp_ns: int) -> None:
        """Pictures to the policy node."""
        self._show("policy", stamp_ns)

    def show_joints(self, stamp_ns: int) -> None:
        """Joint positions to the policy node and the door."""
        self._joints.publish(self._positions.at(stamp_ns))

    def ask_to_engage(self) -> None:
        """Ask the policy node, again when it refused."""
        if self._asked is not None and self._asked.done():
            self.engaged, self._asked = bool(self._asked.result().success), None
        elif self._asked is None and self._engage.service_is_ready():
            self._asked = self._engage.call_async(SetBool.Request(data=True))

    def forget(self) -> None:
        """Begin to measure."""
        for sent in self.sent_ns.values():
            sent.clear()

    def _show(self, who: str, stamp_ns: int) -> None:
        raws = [picture.at(stamp_ns) for picture in self._pictures]
        for publisher, raw in zip(self._to[who], raws, strict=True):
            self.sent_ns[who][stamp_ns] = time.monotonic_ns()
            publisher.publish(raw)

    def _on_relay(self, raw: bytes) -> None:
        message = deserialize_message(raw, Header)
        self.relayed_ns[cdr.header_stamp_ns(raw)] = int(message.frame_id)

    def _on_command(self, _raw: bytes) -> None:
        self._command_ns = time.monotonic_ns()

    def _on_sent(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        # Without names the door has only let the tick pass.
        if view.names:
            self.commanded_ns.setdefault(view.stamp_ns, self._command_ns)


def measure(frames: int = FRAMES) -> Result:
    """Run the benchmark with one and with two cameras; about 50 s."""
    domain = own_domain()
    join_domain(domain)
    allowed = os.sched_getaffinity(0)
    # Read now: of the desk, once it is pinned, only its own is known, and its children inherit that.
    pair = cpus()
    os.sched_setaffinity(0, {pair[0]})
    try:
        cases = {name: _measure_case(domain, cameras, frames, pair) for cameras, name in CASES.items()}
    finally:
        os.sched_setaffinity(0, allowed)
    wait = wait_for_tick_ms(domain, max(frames // 2, 20))
    return Result(
        name="camera_to_command",
        value=max(case["ratio_p50"] for case in cases.values()),
        unit="x the floor (medians, the worse of one and two cameras)",
        bar=MEDIAN_BAR,
        better="lower",
        holds={
            f"p99 ratio at most {P99_BAR}": all(case["ratio_p99"] <= P99_BAR for case in cases.values()),
            "every picture answered": all(case["answered"] == frames for case in cases.values()),
        },
        details={
            **cases,
            "wait_for_control_tick_ms": wait,
            "pictures": frames,
            "camera": f"{WIDTH}x{HEIGHT} rgb8 at {RATE_HZ} Hz",
            "cpus": pair,
        },
    )


def _measure_case(domain: int, cameras: int, frames: int, pair: tuple[int, int]) -> dict[str, Any]:
    contract = bench_contract(cameras)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, contract_path = folder / "policy.onnx", folder / "contract.yaml"
        write_json(contract_path, contract.canonical())
        write_policy(model, contract)
        with Processes(domain, folder) as processes:
            pids = _start(processes, folder, model, contract_path, pair)
            rclpy.init(args=[])
            desk = Desk(contract)
            executor = SingleThreadedExecutor()
            executor.add_node(desk)
            try:
                shares = _drive(desk, executor, contract.period_ns, frames, pids, processes)
            finally:
                executor.shutdown()
                desk.destroy_node()
                rclpy.try_shutdown()
        accepted_ns = {int(stamp): at_ns for stamp, at_ns in read_json(folder / _ACCEPTED).items()}
        bare_ms = np.array(read_json(folder / _TIMES))
    return _case(desk, bare_ms, accepted_ns, frames) | {"share_of_a_core": shares}


def since_ms(sent_ns: Mapping[int, int], came_ns: Mapping[int, int]) -> np.ndarray:
    """From publish to the end, of every tick that came to it."""
    return np.array([(came_ns[stamp] - at_ns) / 1e6 for stamp, at_ns in sent_ns.items() if stamp in came_ns])


def _start(processes: Processes, folder: Path, model: Path, contract: Path, pair: tuple[int, int]) -> dict[str, int]:
    """Both ways, each stage of one beside the same stage of the other; returns the ids of what is measured."""
    desk_cpu, policy_cpu = pair
    ros = ("--ros-args", "-p")
    bare = (f"model:={model}", "-p", f"contract:={contract}", "-p", f"times:={folder / _TIMES}")
    processes.start("benchmarks.echo_node", *ros, *bare, cpu=policy_cpu)
    processes.start("benchmarks.relay_node", cpu=desk_cpu)
    lock_step = ("-p", "use_sim_time:=true")
    door = processes.start(
        "benchmarks.timed_door",
        *(*ros, f"contract:={contract}", "-p", f"accepted:={folder / _ACCEPTED}", *lock_step),
        cpu=desk_cpu,
    )
    policy = processes.start(
        "learned_policy_node.node",
        *(*ros, f"model:={model}", "-p", "auto_activate:=true", *lock_step),
        cpu=policy_cpu,
    )
    return {"arm_node": door, "policy_node": policy}


def _drive(
    desk: Desk,
    executor: SingleThreadedExecutor,
    period_ns: int,
    frames: int,
    pids: dict[str, int],
    processes: Processes,
) -> dict[str, float]:
    """Send pictures until enough were measured; returns the nodes' shares of a core."""

    def spin_until(at_s: float) -> None:
        while (left_s := at_s - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left_s)

    tick, measured = 1, -WARM_UP_FRAMES
    meters: dict[str, CpuMeter] = {}
    start_s = next_s = time.monotonic()
    while measured < frames:
        processes.check()
        # Both ways are measured over the same pictures, so both must have been found.
        ready = desk.engaged and bool(desk.relayed_ns) and bool(desk.commanded_ns)
        if not ready and time.monotonic() > start_s + _START_S:
            raise LearnedArmError("echo and policy node did not both answer", got=f"{_START_S:.0f} s")
        stamp_ns = tick * period_ns
        desk.show_echo(stamp_ns)
        spin_until(next_s + _JOINTS_AT_S)
        desk.show_joints(stamp_ns)
        spin_until(next_s + _POLICY_AT_S)
        desk.show_policy(stamp_ns)
        if not desk.engaged:
            desk.ask_to_engage()
        next_s += period_ns / 1e9
        spin_until(next_s)
        tick += 1
        measured += ready
        if measured == 0 and not meters:
            meters = {name: CpuMeter(pid) for name, pid in pids.items()}
            desk.forget()
    spin_until(next_s + 0.2)
    return {name: round(meter.share(), 3) for name, meter in meters.items()}


def _case(desk: Desk, bare_ms: np.ndarray, accepted_ns: Mapping[int, int], frames: int) -> dict[str, Any]:
    echo_ms, policy_ms = since_ms(desk.sent_ns["echo"], desk.relayed_ns), since_ms(desk.sent_ns["policy"], accepted_ns)
    if min(len(policy_ms), len(echo_ms)) < frames / 2:
        got = f"policy {len(policy_ms)}, echo {len(echo_ms)} of {frames}"
        raise LearnedArmError("most pictures went unanswered", got=got)
    floor, got = spread(echo_ms), spread(policy_ms)
    return {
        "ratio_p50": round(got["p50"] / floor["p50"], 3),
        "ratio_p99": round(got["p99"] / floor["p99"], 3),
        "camera_to_accepted_ms": got,
        "floor_ms": floor,
        "floor_resize_ms": spread(bare_ms[-frames:, 0]),
        "floor_onnxruntime_ms": spread(bare_ms[-frames:, 1]),
        "camera_to_command_ms": spread(since_ms(desk.sent_ns["policy"], desk.commanded_ns)),
        "answered": len(policy_ms),
    }


def main() -> int:
    """Measure (over as many pictures as the first argument says), print, save."""
    result = measure(int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES)
    print(result.line())
    for case in CASES.values():
        told = result.details[case]
        print(f"  {case.replace('_', ' ')}: ratio of medians {told['ratio_p50']:.3f}, of p99 {told['ratio_p99']:.3f}")
        for name, value in told.items():
            if name.endswith("_ms"):
                print(f"    {name:<22} p50 {value['p50']:7.3f}   p99 {value['p99']:7.3f}")
    wait = result.details["wait_for_control_tick_ms"]
    print(f"  besides, in real time: wait for the next control tick p50 {wait['p50']:.3f} ms, p99 {wait['p99']:.3f} ms")
    print(f"  {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())

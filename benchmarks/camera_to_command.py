"""From a camera's publish to the policy node's targets, against an echo node plus the bare model call plus one resize.

Everything is measured side by side in one run: within each camera period a 640x480 picture goes to the echo node,
another to the policy node, and the ONNX Runtime call and the resize run alone in between, at the pace and with the cold
caches of real work. The policy node works in lock-step, where it answers as soon as the picture is there: the wait for
the next tick of a robot's grid depends on the phase of the camera, not on the code, and is no part of the figure.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from benchmarks.policy_model import write_policy
from benchmarks.processes import CpuMeter, Processes, join_domain, own_domain
from benchmarks.result import Result, spread
from benchmarks.streams import HEIGHT, WIDTH, Stamped, image, joint_state
from benchmarks.topics import ECHO, ECHO_IMAGE, JOINT_STATES, POLICY_IMAGE
from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import qos
from learned_policy_node.onnx_policy import ACTION

RATE_HZ = 30
WARM_UP_FRAMES = 30
FRAMES = 400
MEDIAN_BAR, P99_BAR = 1.15, 1.5
_START_S = 30.0
_POLICY_AT_S, _ALONE_AT_S = 0.008, 0.024


def bench_contract() -> Contract:
    """The shipped task at 30 Hz with one 640x480 camera."""
    value = load_contract("pick_cube").canonical()
    value["rate_hz"] = RATE_HZ
    camera = {"topic": POLICY_IMAGE, "size": [96, 96], "max_age_s": 0.1, "latency_s": 0.0}
    value["observation"]["cameras"] = {"front": camera}
    return Contract.from_canonical(value)


class Desk(Node):
    """Camera, joint states and the door in one node: sends pictures and notes when the answers come."""

    def __init__(self, contract: Contract) -> None:
        super().__init__("arm_node")
        self.declare_parameter("source", "")
        self.create_service(SetBool, "~/engage", self._on_engage)
        self._engage = self.create_client(SetBool, "/policy_node/engage")
        self._asked: Any = None
        self.engaged = False
        self._echo_image = self.create_publisher(Image, ECHO_IMAGE, qos.images_out())
        self._policy_image = self.create_publisher(Image, POLICY_IMAGE, qos.images_out())
        self._joints = self.create_publisher(JointState, JOINT_STATES, qos.small())
        self._picture = Stamped(image())
        self._positions = Stamped(joint_state(contract.robot.joints, contract.robot.home_rad))
        self.create_subscription(Header, ECHO, self._on_echo, qos.small(), raw=True)
        self.create_subscription(JointTrajectory, "/arm/policy/targets", self._on_targets, qos.small(), raw=True)
        self.sent_ns: dict[str, dict[int, int]] = {"echo": {}, "policy": {}}
        self.came_ns: dict[str, dict[int, int]] = {"echo": {}, "policy": {}}
        self.empty = 0

    def show_echo(self, stamp_ns: int) -> None:
        """A picture to the echo node."""
        raw = self._picture.at(stamp_ns)
        self.sent_ns["echo"][stamp_ns] = time.monotonic_ns()
        self._echo_image.publish(raw)

    def show_policy(self, stamp_ns: int) -> None:
        """Joint positions, then a picture, to the policy node."""
        self._joints.publish(self._positions.at(stamp_ns))
        raw = self._picture.at(stamp_ns)
        self.sent_ns["policy"][stamp_ns] = time.monotonic_ns()
        self._policy_image.publish(raw)

    def ask_to_engage(self) -> None:
        """Ask the policy node, again when it refused."""
        if self._asked is not None and self._asked.done():
            answer = self._asked.result()
            self.engaged, self._asked = bool(answer.success), None
        elif self._asked is None and self._engage.service_is_ready():
            self._asked = self._engage.call_async(SetBool.Request(data=True))

    def latencies_ms(self, who: str) -> dict[int, float]:
        """Publish to answer, by stamp."""
        came = self.came_ns[who]
        return {stamp: (came[stamp] - sent) / 1e6 for stamp, sent in self.sent_ns[who].items() if stamp in came}

    def _on_engage(self, _request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = True, "lease given"
        return response

    def _on_echo(self, raw: bytes) -> None:
        self.came_ns["echo"].setdefault(cdr.header_stamp_ns(raw), time.monotonic_ns())

    def _on_targets(self, raw: bytes) -> None:
        now_ns = time.monotonic_ns()
        view = cdr.read_joint_trajectory(raw)
        if len(view.positions):
            self.came_ns["policy"].setdefault(view.stamp_ns, now_ns)
        else:
            self.empty += 1


class Alone:
    """The model and the resize without anything around them."""

    def __init__(self, model: Path, contract: Contract) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        self._picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        camera = contract.cameras["front"]
        self._size = camera.size
        self._feed = {
            "observation.images.front": rng.integers(0, 256, (1, 1, *camera.size, 3), dtype=np.uint8),
            "observation.state": np.array([[contract.robot.home_rad]], dtype=np.float32),
        }
        self.model_ms: list[float] = []
        self.resize_ms: list[float] = []

    def run(self) -> None:
        """Time one resize and one call."""
        height, width = self._size
        t0 = time.perf_counter()
        cv2.resize(self._picture, (width, height), interpolation=cv2.INTER_AREA)
        t1 = time.perf_counter()
        self._session.run([ACTION], self._feed)
        t2 = time.perf_counter()
        self.resize_ms.append((t1 - t0) * 1e3)
        self.model_ms.append((t2 - t1) * 1e3)


def measure(frames: int = FRAMES) -> Result:
    """Run the benchmark; about 20 s."""
    domain = own_domain()
    join_domain(domain)
    contract = bench_contract()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = folder / "policy.onnx"
        write_policy(model, contract)
        alone = Alone(model, contract)
        with Processes(domain, folder) as processes:
            processes.start("benchmarks.echo_node")
            policy_pid = processes.start(
                "learned_policy_node.node",
                *(
                    "--ros-args",
                    "-p",
                    f"model:={model}",
                    "-p",
                    "auto_activate:=true",
                    "-p",
                    "use_sim_time:=true",
                ),
            )
            rclpy.init(args=[])
            desk = Desk(contract)
            executor = SingleThreadedExecutor()
            executor.add_node(desk)
            try:
                cpu = _drive(desk, executor, alone, contract.period_ns, frames, policy_pid, processes)
            finally:
                executor.shutdown()
                desk.destroy_node()
                rclpy.try_shutdown()
    return _result(desk, alone, frames, cpu)


def _drive(
    desk: Desk,
    executor: SingleThreadedExecutor,
    alone: Alone,
    period_ns: int,
    frames: int,
    pid: int,
    processes: Processes,
) -> float:
    """Send pictures until enough were measured; returns the policy node's share of a core."""

    def spin_until(at_s: float) -> None:
        while (left_s := at_s - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left_s)

    tick, measured = 1, -WARM_UP_FRAMES
    meter: CpuMeter | None = None
    start_s = next_s = time.monotonic()
    while measured < frames:
        processes.check()
        # Both sides are measured over the same pictures, so both must have been found.
        ready = desk.engaged and bool(desk.came_ns["echo"])
        if not ready and time.monotonic() > start_s + _START_S:
            raise LearnedArmError("echo and policy node did not both answer", got=f"{_START_S:.0f} s")
        stamp_ns = tick * period_ns
        desk.show_echo(stamp_ns)
        spin_until(next_s + _POLICY_AT_S)
        desk.show_policy(stamp_ns)
        if not desk.engaged:
            desk.ask_to_engage()
        spin_until(next_s + _ALONE_AT_S)
        alone.run()
        next_s += period_ns / 1e9
        spin_until(next_s)
        tick += 1
        measured += ready
        if measured == 0 and meter is None:
            meter = CpuMeter(pid)
            for sent in desk.sent_ns.values():
                sent.clear()
            alone.model_ms.clear()
            alone.resize_ms.clear()
    spin_until(next_s + 0.2)
    assert meter is not None
    return meter.share()


def _result(desk: Desk, alone: Alone, frames: int, cpu: float) -> Result:
    echo, policy = desk.latencies_ms("echo"), desk.latencies_ms("policy")
    if len(policy) < frames / 2 or len(echo) < frames / 2:
        raise LearnedArmError(
            "most pictures went unanswered", got=f"policy {len(policy)}, echo {len(echo)} of {frames}"
        )
    echo_ms, policy_ms = np.array(list(echo.values())), np.array(list(policy.values()))
    model_ms, resize_ms = np.array(alone.model_ms), np.array(alone.resize_ms)
    count = min(len(echo_ms), len(model_ms))
    floor_ms = echo_ms[:count] + model_ms[:count] + resize_ms[:count]
    floor, got = spread(floor_ms), spread(policy_ms)
    ratio_p99 = got["p99"] / floor["p99"]
    return Result(
        name="camera_to_command",
        value=round(got["p50"] / floor["p50"], 3),
        unit="x the floor (medians)",
        bar=MEDIAN_BAR,
        better="lower",
        holds={
            f"p99 ratio at most {P99_BAR}": ratio_p99 <= P99_BAR,
            "every picture answered": len(policy) == frames,
        },
        details={
            "ratio_p99": round(ratio_p99, 3),
            "camera_to_targets_ms": got,
            "floor_ms": floor,
            "echo_ms": spread(echo_ms),
            "onnxruntime_ms": spread(model_ms),
            "resize_ms": spread(resize_ms),
            "pictures": frames,
            "answered": len(policy),
            "refused": desk.empty,
            "policy_node_share_of_a_core": round(cpu, 3),
            "camera": f"{WIDTH}x{HEIGHT} rgb8 at {RATE_HZ} Hz",
        },
    )


def main() -> int:
    """Measure (over as many pictures as the first argument says), print, save."""
    result = measure(int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES)
    details = result.details
    print(result.line())
    for name in ("camera_to_targets_ms", "floor_ms", "echo_ms", "onnxruntime_ms", "resize_ms"):
        print(f"  {name:<22} p50 {details[name]['p50']:7.3f}   p99 {details[name]['p99']:7.3f}")
    print(f"  ratio of medians {result.value:.3f}, of p99 {details['ratio_p99']:.3f}; {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())

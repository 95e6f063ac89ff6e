"""How late the control ticks of `arm_node` begin at 250 Hz, while a policy that sees two 640x480 cameras moves the arm.

Real nodes in real time: `arm_node`, and a `policy_node` that infers at 25 Hz. This process is the robot's driver (joint
states at 250 Hz that follow the commands) and both cameras (30 Hz). A loop that only sleeps until each tick runs beside
them, in a process of its own with the same priority and period: what it is late, the machine is late.

`arm_node` measures the lateness itself, against its grid in monotonic time, when the step begins: what waking up, the
interpreter and its lock cost is in it. The stamps of `/arm/sent` say it a second time, from outside.

`python -m benchmarks.tick_jitter [seconds] [realtime_priority]`
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool

from arm_control.settings import REALTIME_PRIORITY
from benchmarks.policy_model import write_policy
from benchmarks.processes import CpuMeter, Processes, join_domain, own_domain
from benchmarks.result import Result
from benchmarks.streams import HEIGHT, WIDTH, Stamped, image, joint_state
from benchmarks.topics import CAMERAS, JOINT_STATES
from demo_tools.flow.ending import end_by_sigterm
from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos

SECONDS = 60.0
CONTROL_HZ, POLICY_HZ, CAMERA_HZ, JOINT_HZ = 250, 25, 30, 250
P99_BAR_MS = 1.0
LEAST_INFERENCES_HZ = 20.0
_START_S = 30.0
_PICTURES = 8
_MOVED_RAD = 1e-4


def bench_contract() -> Contract:
    """Two 640x480 cameras and a robot of 250 Hz.

    Targets are absolute and the robot is at home at zero, so that labels made of noise make it tremble about its home
    for as long as one likes, within every limit.
    """
    value = load_contract("pick_cube").canonical()
    value["rate_hz"] = POLICY_HZ
    value["observation"]["cameras"] = {
        name: {"topic": topic, "size": [96, 96], "max_age_s": 0.2, "latency_s": 0.0}
        for name, topic in zip(("front", "wrist"), CAMERAS, strict=False)
    }
    value["action"]["representation"] = "absolute"
    robot = value["robot"]
    robot["control_rate_hz"] = CONTROL_HZ
    robot["home_rad"] = {name: [0.0] * len(home) for name, home in robot["home_rad"].items()}
    robot["groups"]["gripper"]["limits"]["position_rad"] = [[-0.8, 0.8]]
    return Contract.from_canonical(value)


class Rig(Node):
    """Driver and cameras of the robot, and a desk that watches. A thread of its own publishes."""

    def __init__(self, contract: Contract) -> None:
        super().__init__("rig")
        self._joints = contract.robot.joints
        self._out = self.create_publisher(JointState, JOINT_STATES, qos.small())
        self._positions = Stamped(joint_state(self._joints, contract.robot.home_rad))
        start_s = time.monotonic()
        self._cameras: list[list[Any]] = [
            [self.create_publisher(Image, camera.topic, qos.images_out()), start_s + index / CAMERA_HZ / 2, 0]
            for index, camera in enumerate(contract.cameras.values())
        ]
        self._pictures = [Stamped(image(seed)) for seed in range(_PICTURES)]
        self.create_subscription(JointState, "/arm/sent", self._on_sent, qos.small(), raw=True)
        self.create_subscription(DiagnosticStatus, "/arm_node/status", self._on_arm, qos.small())
        self.create_subscription(DiagnosticStatus, "/policy_node/status", self._on_policy, qos.latched())
        self._client = self.create_client(SetBool, "/policy_node/engage")
        self._asked: Any = None
        self.engaged = False
        self.arm: dict[str, str] = {}
        self.policy: dict[str, str] = {}
        self.sent_ns: list[int] = []
        self.sent_rad: list[NDArray[np.float64]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="rig", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join(2.0)

    def ask_to_engage(self) -> None:
        """Ask the policy node, again when it refused."""
        if self._asked is not None and self._asked.done():
            self.engaged, self._asked = bool(self._asked.result().success), None
        elif self._asked is None and self._client.service_is_ready():
            self._asked = self._client.call_async(SetBool.Request(data=True))

    def forget(self) -> None:
        """Begin to measure."""
        self.sent_ns.clear()
        self.sent_rad.clear()

    def _on_sent(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        if not view.names:
            return  # nothing went out
        self._positions = Stamped(joint_state(view.names, view.position.tolist()))
        self.sent_ns.append(view.stamp_ns)
        self.sent_rad.append(view.position)

    def _on_arm(self, message: DiagnosticStatus) -> None:
        self.arm = messages.status_values(message)

    def _on_policy(self, message: DiagnosticStatus) -> None:
        self.policy = messages.status_values(message)

    def _publish(self) -> None:
        next_s = time.monotonic()
        while not self._ending.is_set():
            self._out.publish(self._positions.at(time.time_ns()))
            now_s = time.monotonic()
            for camera in self._cameras:
                publisher, due_s, shown = camera
                if now_s >= due_s:
                    publisher.publish(self._pictures[shown % _PICTURES].at(time.time_ns()))
                    camera[1:] = due_s + 1 / CAMERA_HZ, shown + 1
            next_s += 1 / JOINT_HZ
            time.sleep(max(next_s - time.monotonic(), 0.0))


def late_by_stamps_ms(stamps_ns: NDArray[np.int64], period_ns: int) -> NDArray[np.float64]:
    """How late each stamp is against the earliest of its second, ms, shape (K,); at most a period can be told."""
    turns = np.exp(2j * np.pi * (stamps_ns % period_ns) / period_ns)
    mean_ns = int(np.angle(turns.mean()) / (2 * np.pi) * period_ns)
    # No tick begins early, so few lie further before the mean than a quarter of a period.
    quarter_ns = period_ns // 4
    off_ns = (stamps_ns - mean_ns + quarter_ns) % period_ns - quarter_ns
    second = (stamps_ns - stamps_ns[0]) // 1_000_000_000
    earliest_ns = {each: off_ns[second == each].min() for each in set(second.tolist())}
    return (off_ns - np.array([earliest_ns[each] for each in second.tolist()])) / 1e6


def measure(seconds: float = SECONDS, priority: int = REALTIME_PRIORITY) -> Result:
    """Run the benchmark; some seconds longer than it measures.

    Args:
        seconds: How long the arm is moved.
        priority: `realtime_priority` of the door, and of the loop beside it.
    """
    domain = own_domain()
    join_domain(domain)
    contract = bench_contract()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, contract_path = folder / "policy.onnx", folder / "contract.yaml"
        write_json(contract_path, contract.canonical())
        write_policy(model, contract)
        with Processes(domain, folder) as processes:
            ticks = round(seconds * CONTROL_HZ)
            arm = processes.start(
                "arm_control.arm_node",
                *("--ros-args", "-p", f"contract:={contract_path}", "-p", f"realtime_priority:={priority}"),
            )
            policy = processes.start(
                "learned_policy_node.node", "--ros-args", "-p", f"model:={model}", "-p", "auto_activate:=true"
            )
            processes.start("benchmarks.bare_loop", str(CONTROL_HZ), str(ticks), str(priority))
            rclpy.init(args=[])
            rig = Rig(contract)
            executor = SingleThreadedExecutor()
            executor.add_node(rig)
            try:
                counts = _drive(rig, executor, seconds, {"arm_node": arm, "policy_node": policy}, processes)
            finally:
                rig.close()
                executor.shutdown()
                rig.destroy_node()
                rclpy.try_shutdown()
            processes.stop("benchmarks.bare_loop")
            bare = json.loads((folder / "benchmarks.bare_loop.log").read_text())
    return _result(rig, {**counts, "realtime_priority": priority}, bare, seconds)


def _drive(
    rig: Rig, executor: SingleThreadedExecutor, seconds: float, pids: dict[str, int], processes: Processes
) -> dict[str, Any]:
    """Engage, then let the policy move the arm; returns shares of a core and what was counted."""
    deadline_s = time.monotonic() + _START_S
    while not (rig.engaged and rig.arm.get("state") == "engaged"):
        processes.check()
        if time.monotonic() > deadline_s:
            raise LearnedArmError("the policy did not move the arm", got=f"{rig.arm} {rig.policy}")
        if not rig.engaged:
            rig.ask_to_engage()
        executor.spin_once(timeout_sec=0.05)
    rig.forget()
    meters = {name: CpuMeter(pid) for name, pid in pids.items()}
    before, states = int(rig.policy["inferences"]), set()
    start_s = time.monotonic()
    while time.monotonic() < start_s + seconds:
        executor.spin_once(timeout_sec=0.05)
        states.add(rig.arm["state"])
    processes.check()
    took_s = time.monotonic() - start_s
    return {
        "share_of_a_core": {name: round(meter.share(), 3) for name, meter in meters.items()},
        "inferences_hz": round((int(rig.policy["inferences"]) - before) / took_s, 1),
        "states": sorted(states),
    }


def _result(rig: Rig, counts: dict[str, Any], bare: dict[str, Any], seconds: float) -> Result:
    if len(rig.sent_ns) < CONTROL_HZ * seconds / 2:
        got = f"{len(rig.sent_ns)}, the door is {rig.arm}"
        raise LearnedArmError("half of the commands are missing", got=got, allowed=CONTROL_HZ * seconds)
    period_ms = 1e3 / CONTROL_HZ
    stamps = late_by_stamps_ms(np.array(rig.sent_ns), round(1e9 / CONTROL_HZ))
    late = {"p99": float(rig.arm["tick_late_ms_p99"]), "max": float(rig.arm["tick_late_ms_max"])}
    by_stamps = {
        "p50": round(float(np.median(stamps)), 3),
        "p99": round(float(np.percentile(stamps, 99)), 3),
        "max": round(float(stamps.max()), 3),
    }
    return Result(
        name="tick_jitter",
        value=late["p99"],
        unit="ms late at p99",
        bar=P99_BAR_MS,
        better="lower",
        holds={
            "no tick more than one period late": late["max"] <= period_ms,
            "p99 by the stamps of /arm/sent too": by_stamps["p99"] <= P99_BAR_MS,
            "the arm moved all the time": counts["states"] == ["engaged"]
            and float(np.std(rig.sent_rad, axis=0).max()) > _MOVED_RAD,
            f"{LEAST_INFERENCES_HZ:g} inferences a second": counts["inferences_hz"] >= LEAST_INFERENCES_HZ,
        },
        details={
            "late_ms": late,
            "late_by_stamps_ms": by_stamps,
            "bare_loop_ms": {"p99": round(bare["p99_ms"], 3), "max": round(bare["max_ms"], 3)},
            "ratio_p99": round(late["p99"] / bare["p99_ms"], 2),
            "ticks_missed": int(rig.arm["ticks_missed"]),
            "ticks": len(rig.sent_ns),
            **counts,
            "load": f"2 cameras {WIDTH}x{HEIGHT} at {CAMERA_HZ} Hz, joint states at {JOINT_HZ} Hz, {seconds:g} s",
        },
    )


def main() -> int:
    """Measure (over as many seconds as the first argument says, with the second as priority), print, save."""
    arguments = sys.argv[1:]
    priority = int(arguments[1]) if len(arguments) > 1 else REALTIME_PRIORITY
    result = measure(float(arguments[0]) if arguments else SECONDS, priority)
    details = result.details
    print(result.line())
    for name in ("late_ms", "late_by_stamps_ms", "bare_loop_ms"):
        print(f"  {name:<18}", "   ".join(f"{key} {value:.3f}" for key, value in details[name].items()))
    shares = ", ".join(f"{name} {share:.0%} of a core" for name, share in details["share_of_a_core"].items())
    print(f"  p99 is {details['ratio_p99']} x that of the bare loop; {details['ticks_missed']} ticks missed")
    print(f"  {shares}; {details['inferences_hz']} inferences a second; {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())

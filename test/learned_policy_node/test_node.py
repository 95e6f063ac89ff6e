"""The real policy_node and the real arm_node, two processes, with streams that this test publishes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm import cdr
from learned_arm.contract import Contract
from learned_arm.observation import digest
from learned_policy_node.chunking import TemporalEnsemble
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.onnx_policy import OnnxPolicy

rclpy = pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

POLICY, ARM = "learned_policy_node.node", "arm_control.arm_node"
PATIENCE_S = 20.0
SETTLE_S = 0.3
CONTROL_NS = 10_000_000


class Bench:
    """Plays the robot: publishes streams, waits for answers, calls services."""

    def __init__(self, contract: Contract, domain_id: int) -> None:
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.executors import SingleThreadedExecutor
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import Image, JointState
        from trajectory_msgs.msg import JointTrajectory

        from learned_arm.ros import qos

        self.contract = contract
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("bench", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images = {
            camera.topic: self.node.create_publisher(Image, camera.topic, qos.images_out())
            for camera in contract.cameras.values()
        }
        self.joints = self.node.create_publisher(JointState, "/joint_states", qos.small())
        self.clock = self.node.create_publisher(Clock, "/clock", qos.small())
        self.sent: set[int] = set()
        self.targets: dict[int, list[Any]] = {}
        self.ticks: dict[int, tuple[str, ...]] = {}
        self.status: dict[str, Any] = {}
        self.pushed: list[tuple[str, int, bytes]] = []
        self.now_ns = 1_000_000_000_000
        self.muted: set[str] = set()
        self.clients: dict[str, Any] = {}
        self.encoding, self.brightness = "rgb8", 120
        self.rng = np.random.default_rng(5)
        listen = self.node.create_subscription
        listen(
            JointState,
            "/arm/sent",
            lambda raw: self.sent.add(cdr.header_stamp_ns(raw)),
            qos.small(),
            raw=True,
        )
        listen(JointTrajectory, "/arm/policy/targets", self._on_targets, qos.small(), raw=True)
        listen(JointState, "/policy_node/ticks", self._on_ticks, qos.small(), raw=True)
        for name in ("policy_node", "arm_node"):
            keep = lambda message, name=name: self.status.update({name: message})  # noqa: E731
            listen(
                DiagnosticStatus,
                f"/{name}/status",
                keep,
                qos.latched() if name == "policy_node" else qos.small(),
            )

    def _on_targets(self, raw: bytes) -> None:
        view = cdr.read_joint_trajectory(raw)
        self.targets.setdefault(view.stamp_ns, []).append(view)

    def _on_ticks(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        self.ticks[view.stamp_ns] = view.names

    def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            self.executor.spin_once(timeout_sec=0.05)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service while the robot goes on, as the real one does."""
        client = self.clients.get(name)
        if client is None:
            client = self.clients[name] = self.node.create_client(kind, name)
            self.until(client.service_is_ready, name)
            # The server must have found this client too, or its answer goes nowhere; nothing tells when it has.
            settled_s = time.monotonic() + SETTLE_S
            self.until(lambda: time.monotonic() > settled_s, "discovery")
        future = client.call_async(request)
        self.until(future.done, f"the answer of {name}")
        return future.result()

    def set(self, node: str, name: str, text: str) -> None:
        from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
        from rcl_interfaces.srv import SetParameters

        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        assert self.call(SetParameters, f"/{node}/set_parameters", request).results[0].successful

    def change(self, transition: int) -> bool:
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, "/policy_node/change_state", request).success

    def trigger(self, name: str) -> Any:
        from std_srvs.srv import Trigger

        return self.call(Trigger, name, Trigger.Request())

    def engage(self, on: bool) -> Any:
        from std_srvs.srv import SetBool

        return self.call(SetBool, "/policy_node/engage", SetBool.Request(data=on))

    def step(self) -> None:
        """One control tick in lock-step: streams, clock, then the door's answer."""
        from rosgraph_msgs.msg import Clock

        from learned_arm.ros import messages

        self.now_ns += CONTROL_NS
        self.publish()
        self.clock.publish(Clock(clock=messages.time_message(self.now_ns)))
        self.until(lambda: self.now_ns in self.sent, f"/arm/sent at {self.now_ns}")

    def run_in_real_time(self) -> None:
        """Publish the streams at the control rate from now on, whenever the bench waits for something."""
        self.node.create_timer(CONTROL_NS / 1e9, self._on_timer)

    def _on_timer(self) -> None:
        self.now_ns = time.time_ns() // CONTROL_NS * CONTROL_NS
        self.publish()

    def publish(self) -> None:
        """The streams of this moment: images where the grid has them, and joints."""
        from rclpy.serialization import serialize_message
        from sensor_msgs.msg import Image

        from learned_arm.ros import messages

        stamp = messages.time_message(self.now_ns)
        out: list[tuple[Any, str, Any]] = []
        if self.now_ns % self.contract.period_ns == 0:
            for topic, publisher in self.images.items():
                pixels = self.rng.integers(0, self.brightness + 1, (96, 96, 3), np.uint8)
                image = Image(height=96, width=96, encoding=self.encoding, step=288, data=pixels.tobytes())
                image.header.stamp = stamp
                out.append((publisher, topic, image))
        measured = self.rng.normal(scale=1e-3, size=7) + np.array(self.contract.robot.home_rad)
        out.append(
            (
                self.joints,
                "/joint_states",
                messages.joint_state(self.now_ns, self.contract.robot.joints, measured),
            )
        )
        for publisher, topic, message in out:
            if topic not in self.muted:
                self.pushed.append((topic, self.now_ns, serialize_message(message)))
                publisher.publish(message)

    def to_next_tick(self) -> int:
        """Step to the next tick of the contract's grid and return it."""
        self.step()
        while self.now_ns % self.contract.period_ns:
            self.step()
        return self.now_ns

    def points_at_next_tick(self) -> int:
        """Step to the next tick and count the points of the policy's answer to it."""
        tick_ns = self.to_next_tick()
        self.until(lambda: tick_ns in self.targets, f"targets of {tick_ns}")
        assert len(self.targets[tick_ns]) == 1
        return len(self.targets[tick_ns][0].positions)

    def values(self, node: str = "policy_node") -> dict[str, str]:
        from learned_arm.ros import messages

        return messages.status_values(self.status[node]) if node in self.status else {}

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def bench(contract: Contract, ros_domain_id: int) -> Iterator[Bench]:
    bench = Bench(contract, ros_domain_id)
    yield bench
    bench.close()


def test_a_bad_model_ends_the_process_in_one_line(spawn: Any, tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(bytes(range(256)))
    process = spawn.node(POLICY, model=path, auto_activate=True)
    assert process.wait(PATIENCE_S) == 2
    assert process.output().strip().splitlines()[-1].startswith(f"error: {path}: corrupt model; got")
    assert "Traceback" not in process.output()


def test_lifecycle_lock_step_refusal_fault_and_end(
    bench: Bench, spawn: Any, make_model: Callable[..., Path], tmp_path: Path, contract: Contract
) -> None:
    from lifecycle_msgs.msg import Transition

    model = make_model(dark_is_nan=True)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model.read_bytes()[:5000])
    policy_process = spawn.node(POLICY, model=damaged, contract="pick_cube", use_sim_time=True)
    arm_process = spawn.node(ARM, use_sim_time=True)

    assert not bench.change(Transition.TRANSITION_CONFIGURE)
    bench.until(lambda: "corrupt model" in bench.status["policy_node"].message, "the reason in ~/status")
    bench.set("policy_node", "model", str(model))
    bench.set("policy_node", "contract", "reach_cube")
    assert not bench.change(Transition.TRANSITION_CONFIGURE)
    bench.until(lambda: "reach_cube on ur5e_sim" in bench.status["policy_node"].message, "both sides in ~/status")
    bench.set("policy_node", "contract", "pick_cube")
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: all(each.get_subscription_count() == 1 for each in bench.images.values()), "the cameras")

    refused = bench.engage(True)
    assert not refused.success
    assert "no message yet" in refused.message
    bench.to_next_tick()
    passed_ns = bench.to_next_tick()
    assert not bench.targets
    engaged = bench.engage(True)
    assert engaged.success, engaged.message
    ticks = [bench.to_next_tick() for _ in range(21)]
    assert f"first_tick_ns={ticks[0]}" in engaged.message
    assert passed_ns not in bench.targets, "the door was not waiting for this tick"
    bench.until(lambda: ticks[-1] in bench.ticks, "the last tick")
    mirror = PolicyLoop(OnnxPolicy(model), TemporalEnsemble(contract.period_ns))
    pushed = iter(bench.pushed)
    for tick_ns in ticks:
        for topic, stamp_ns, raw in pushed:
            mirror.push(topic, stamp_ns, 0, raw)
            if topic == "/joint_states" and stamp_ns == tick_ns:
                break
        expected = mirror.step(tick_ns)
        assert len(bench.targets[tick_ns]) == 1
        view = bench.targets[tick_ns][0]
        assert view.names == contract.robot.joints
        np.testing.assert_array_equal(view.positions, expected.timeline.positions_rad)
        np.testing.assert_array_equal(tick_ns + view.time_from_start_ns, expected.timeline.stamps_ns)
        assert expected.observation is not None
        told = {name: str(stamp_ns) for name, stamp_ns in expected.stamps_ns.items()}
        told["observation"] = digest(expected.observation)
        assert dict(each.rsplit("@", 1) for each in bench.ticks[tick_ns]) == told

    bench.encoding = "bayer_rggb8"
    assert bench.points_at_next_tick() == 0
    bench.encoding = "rgb8"
    assert bench.points_at_next_tick() == 4
    bench.until(lambda: "unknown image encoding" in bench.values()["last_refusal"], "the refusal in ~/status")

    bench.brightness = 4
    assert bench.points_at_next_tick() == 0
    bench.brightness = 120
    assert bench.points_at_next_tick() == 0, "a fault is latched"
    bench.until(lambda: "not finite" in bench.values()["fault"], "the fault in ~/status")
    assert bench.trigger("/policy_node/reset").success
    assert bench.points_at_next_tick() == 4

    assert bench.engage(False).success
    last_ns = bench.to_next_tick()
    bench.to_next_tick()
    assert last_ns not in bench.targets
    bench.trigger("/policy_node/reset")
    bench.to_next_tick()
    assert bench.engage(True).success
    bench.to_next_tick()
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.until(lambda: bench.values("arm_node").get("holder") == "", "the lease to be given back")
    bench.step()

    for process in (policy_process, arm_process):
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def patient(contract: Contract) -> Contract:
    """The contract with ages of a second: a busy machine stalls a publisher for longer than an arm does."""
    value = contract.canonical()
    for camera in value["observation"]["cameras"].values():
        camera["max_age_s"] = 1.0
    value["observation"]["state"]["max_age_s"] = 1.0
    for source in value["robot"]["joint_states"]:
        source["max_age_s"] = 1.0
    return Contract.from_canonical(value)


def test_real_time_ticks_on_the_grid_a_silent_camera_holds_and_a_lost_lease_ends_it(
    bench: Bench, spawn: Any, make_model: Callable[..., Path], tmp_path: Path, contract: Contract
) -> None:
    contract = patient(contract)
    file = tmp_path / "patient.yaml"
    file.write_text(json.dumps(contract.canonical()))
    settings = {"model": make_model(of=contract), "execution": "receding", "execute_steps": 3}
    process = spawn.node(POLICY, auto_activate=True, contract=file, **settings)
    spawn.node(ARM, contract=file)
    bench.run_in_real_time()
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: bench.engage(True).success, "the lease")
    bench.until(lambda: len(bench.targets) >= 20, "targets")
    good = {stamp_ns: views[0] for stamp_ns, views in bench.targets.items() if len(views[0].positions)}
    assert len(good) >= 15
    for stamp_ns, view in good.items():
        assert stamp_ns % contract.period_ns == 0
        assert view.time_from_start_ns.tolist() == [(1 + k) * contract.period_ns for k in range(4)]
    assert bench.values("arm_node").get("holder") == "policy", bench.status["arm_node"].message

    bench.muted.add(contract.cameras["front"].topic)
    bench.until(lambda: "camera:front: s" in bench.values()["last_refusal"], "the silent camera in ~/status")
    newest = max(bench.targets)
    assert len(bench.targets[newest][0].positions) == 0
    bench.muted.clear()
    bench.until(lambda: len(bench.targets[max(bench.targets)][0].positions) == 4, "going on")

    bench.muted.add("/joint_states")
    bench.until(lambda: bench.values("arm_node").get("state") == "fault", "the door's fault")
    bench.until(lambda: bench.values()["engaged"] == "False", "the policy to notice that the lease is gone")
    bench.muted.clear()
    assert bench.trigger("/arm_node/clear_fault").success
    bench.until(lambda: bench.engage(True).success, "the lease again")
    bench.until(lambda: bench.values("arm_node").get("holder") == "policy", "the lease in the door's status")
    process.popen.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    bench.until(lambda: bench.values("arm_node").get("holder") == "", "the lease to be given back at the end")

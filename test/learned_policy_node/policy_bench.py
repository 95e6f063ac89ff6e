"""The robot around a policy_node and an arm_node under test: publishes streams, hears answers, calls services."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy

from learned_arm import cdr
from learned_arm.contract import Contract

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
        listen: Any = self.node.create_subscription
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
        future = self.client(kind, name).call_async(request)
        self.until(future.done, f"the answer of {name}")
        return future.result()

    def client(self, kind: Any, name: str) -> Any:
        """A client that is ready: its first call need not wait any more."""
        client = self.clients.get(name)
        if client is None:
            client = self.clients[name] = self.node.create_client(kind, name)
            self.until(client.service_is_ready, name)
            # The server must have found this client too, or its answer goes nowhere; nothing tells when it has.
            settled_s = time.monotonic() + SETTLE_S
            self.until(lambda: time.monotonic() > settled_s, "discovery")
        return client

    def ask_to_set(self, node: str, **values: Any) -> tuple[bool, str]:
        """Set parameters, all or none; whether they were, and why not."""
        from rcl_interfaces.srv import SetParametersAtomically
        from rclpy.parameter import Parameter

        changes = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=changes)
        result = self.call(SetParametersAtomically, f"/{node}/set_parameters_atomically", request).result
        return result.successful, result.reason

    def set(self, node: str, name: str, text: str) -> None:
        accepted, reason = self.ask_to_set(node, **{name: text})
        assert accepted, reason

    def parameter(self, node: str, name: str) -> Any:
        from rcl_interfaces.srv import GetParameters
        from rclpy.parameter import parameter_value_to_python

        request = GetParameters.Request(names=[name])
        return parameter_value_to_python(self.call(GetParameters, f"/{node}/get_parameters", request).values[0])

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

    def words(self, node: str = "policy_node") -> str:
        return self.status[node].message if node in self.status else ""

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

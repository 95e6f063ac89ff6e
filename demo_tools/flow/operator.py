"""The person at the desk, as a ROS client: calls services, watches statuses and success, waits with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.remote import RemoteNode

_READY_S = 30.0
_CALL_S = 15.0
_ASK_AGAIN_S = 0.2
_IDLE_SPINS = 10


class RefusedError(LearnedArmError):
    """A node answered, and the answer was no."""


class Operator:
    """Speaks to the nodes of one domain. Use in one thread.

    Args:
        domain_id: Domain of the nodes.
        check: Called while waiting; raises when a node has died.
        success_topic: Bool topic of the task; its messages also count simulated time.
    """

    def __init__(self, domain_id: int, check: Callable[[], None], success_topic: str | None = "/task/success") -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        # Without /rosout: its logger is one a process, and several operators may sit in this one.
        self._node = rclpy.create_node("operator", context=self._context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._check = check
        self._remotes: dict[str, RemoteNode] = {}
        self.statuses: dict[str, dict[str, str]] = {}
        self._since_ns = 0
        self.success_count = 0
        self.succeeded = False
        self.succeeds_now = False
        if success_topic is not None:
            on_success: Any = self._on_success
            self._node.create_subscription(Bool, success_topic, on_success, qos.small())

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _on_success(self, message: Bool, info: Any) -> None:
        # A busy operator reads late: what was sent before the trial began says nothing about it.
        if info["source_timestamp"] < self._since_ns:
            return
        self.success_count += 1
        self.succeeds_now = bool(message.data)
        self.succeeded = self.succeeded or self.succeeds_now

    def forget_success(self) -> None:
        """Begin a new trial: what the topic said until now does not count."""
        self._since_ns = time.time_ns()
        self.success_count, self.succeeded, self.succeeds_now = 0, False, False

    def begin_time(self) -> None:
        """Count the time of the trial from now; what the topic said of success stays."""
        self.success_count = 0

    def expect(self, node: str, **services: type) -> None:
        """Create clients and a status subscription for a node, and wait until it answers."""
        if node not in self._remotes:
            remote = RemoteNode(self._node, node)
            remote.prepare(**services)
            self._remotes[node] = remote
            self.statuses[node] = {}

            def on_status(message: DiagnosticStatus, node: str = node) -> None:
                self.statuses[node] = messages.status_values(message)

            self._node.create_subscription(DiagnosticStatus, f"{node}/status", on_status, qos.small())
        self.wait(lambda: self._remotes[node].ready, _READY_S, f"{node} to answer")

    def listen(self, kind: type, topic: str, take: Callable[[Any], None]) -> None:
        """Have every message of a topic given to a function, while this thread waits for something."""
        self._node.create_subscription(kind, topic, take, qos.small())

    def publisher(self, kind: type, topic: str) -> Publisher:
        """Something to speak with."""
        return self._node.create_publisher(kind, topic, qos.small())

    def trigger(
        self, node: str, service: str, parameters: Mapping[str, Any] | None = None, *, patience_s: float = 0.0
    ) -> str:
        """Set parameters, call a Trigger service, return its message.

        Args:
            node: Name with its leading slash.
            service: Private name, such as `start`.
            parameters: Set first, all or none.
            patience_s: How long a refusal is answered by asking again: a node that has just started may not have
                discovered its streams yet.

        Raises:
            LearnedArmError: The node refused or did not answer.
        """
        return self._ask(node, service, Trigger.Request(), parameters, patience_s)

    def switch(
        self,
        node: str,
        service: str,
        value: bool,
        parameters: Mapping[str, Any] | None = None,
        *,
        patience_s: float = 0.0,
    ) -> str:
        """The same for a SetBool service."""
        return self._ask(node, service, SetBool.Request(data=value), parameters, patience_s)

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Spin until a condition holds.

        Raises:
            LearnedArmError: It does not hold after `seconds`, or a node died.
        """
        deadline_s = time.monotonic() + seconds
        checked_s = time.monotonic()
        while not done():
            self._executor.spin_once(timeout_sec=0.05)
            now_s = time.monotonic()
            if now_s > checked_s + 0.5:
                checked_s = now_s
                self._check()
            if now_s > deadline_s:
                raise LearnedArmError(f"waited in vain for {what}", got=f"{seconds:.0f} s", allowed=str(self.statuses))

    def catch_up(self) -> None:
        """Take every success message that has arrived: a busy operator would judge by an old one."""
        idle, seen = 0, self.success_count
        while idle < _IDLE_SPINS:
            self._executor.spin_once(timeout_sec=0.0)
            idle = idle + 1 if self.success_count == seen else 0
            seen = self.success_count

    def spin_for(self, seconds: float) -> None:
        """Let messages come in for a while."""
        until_s = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > until_s, seconds + _CALL_S, "time to pass")

    def _ask(
        self, node: str, service: str, request: Any, parameters: Mapping[str, Any] | None, patience_s: float
    ) -> str:
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                return self._call(node, service, request, parameters)
            except RefusedError:
                if time.monotonic() > deadline_s:
                    raise
            self.spin_for(_ASK_AGAIN_S)

    def _call(self, node: str, service: str, request: Any, parameters: Mapping[str, Any] | None) -> str:
        answers: list[tuple[bool, str]] = []
        self._remotes[node].call(service, request, lambda accepted, text: answers.append((accepted, text)), parameters)
        self.wait(lambda: bool(answers), _CALL_S, f"{node}/{service}")
        accepted, text = answers[0]
        if not accepted:
            raise RefusedError(f"{node} refused {service}", got=text)
        return text

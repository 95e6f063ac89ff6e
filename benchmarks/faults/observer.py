"""Hears all that the rig's processes say, and when (monotonic); asks for their services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

from benchmarks.faults.world import STRIKE, STRUCK
from learned_arm import cdr
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.listener import Listener
from learned_arm.ros.polled import PolledSubscription

_ANSWER_S = 3.0
_MOVED_RAD = 1e-9
_KEPT = 200
_LOOK_S = 0.01
# An observer that is late must still have heard every command.
_EVERYTHING = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2000, reliability=ReliabilityPolicy.RELIABLE)
NODES = ("arm_node", "policy_node")


@dataclass(frozen=True)
class Sent:
    """A message of `/arm/sent`: when it was heard, its stamp, the command in joint order."""

    heard_ns: int
    stamp_ns: int
    position_rad: NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """A status: when it was heard, its text and its values."""

    heard_ns: int
    text: str
    values: Mapping[str, str]


class Observer:
    """A node in this process. It asks, and hears statuses, while `until` or `spin` runs.

    What comes hundreds of times a second is heard all the time, on threads of its own: an executor needs a third of a
    core for it, and where that is missing it hears late what happened in time. What is timed wakes a thread; commands
    and joint states are looked for every 10 ms, since each waking costs more than what it brings.

    Attributes:
        sent: What the door says that it sent.
        sent_before: The last of what was forgotten of it: a command may be heard later than what the door says of it.
        commands: By group, what the controllers got.
        told: By node, its statuses.
        ticks: What the policy says that it saw, the `name` fields of `~/ticks`.
        joints: Joint states by stamp, raw; the first of each stamp.
        joints_heard_ns: When the last of them was found, monotonic.
    """

    def __init__(self, contract: Contract, domain_id: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}
        self._strike = self._node.create_publisher(String, STRIKE, qos.small())
        self._struck: list[str] = []
        self.sent: list[Sent] = []
        self.sent_before: list[Sent] = []
        self.commands: dict[str, list[NDArray[np.float64]]] = {group.name: [] for group in contract.robot.groups}
        self.told: dict[str, list[Told]] = {name: [] for name in NODES}
        self.ticks: list[tuple[str, ...]] = []
        self.joints: dict[int, bytes] = {}
        self.joints_heard_ns = 0
        listen = self._node.create_subscription
        listen(String, STRUCK, self._on_struck, qos.small())
        for name in NODES:
            listen(DiagnosticStatus, f"/{name}/status", partial(self._on_status, self.told[name]), qos.small())
        self._lock = threading.Lock()
        self._listener = Listener(self._node, "observer")
        hear = self._listener.listen
        hear(JointState, "/arm/sent", _EVERYTHING, self._on_sent)
        hear(JointState, "/policy_node/ticks", _EVERYTHING, self._on_ticks)
        self._looks: list[tuple[PolledSubscription, Callable[[bytes], None]]] = []
        for group in contract.robot.groups:
            on_command = partial(self._on_command, self.commands[group.name])
            self._look_at(Float64MultiArray, group.command.topic, on_command)
        for source in contract.robot.joint_states:
            self._look_at(JointState, source.topic, self._on_joints)
        self._closing = threading.Event()
        self._looking = threading.Thread(target=self._look, name="looks", daemon=True)
        self._looking.start()
        self._listener.start()

    def close(self) -> None:
        """End."""
        self._listener.close()
        self._closing.set()
        self._looking.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin(self, seconds: float) -> None:
        """Listen for so long."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Listen until something holds; whether it did in time."""
        end_s = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def forget(self) -> None:
        """Drop what was heard so far but the last of each."""
        with self._lock:
            self.sent_before = self.sent[-_KEPT:-2]
            # Two of them say how fast the arm was when the first of the next was sent.
            del self.sent[:-2]
            self.ticks.clear()
            for kept in (*self.commands.values(), *self.told.values()):
                del kept[:-1]
            # A policy may still speak of the joint states of the last seconds.
            for stamp_ns in list(self.joints)[:-2000]:
                del self.joints[stamp_ns]

    def all_sent(self) -> list[Sent]:
        """What `sent` is now, which does not grow."""
        with self._lock:
            return list(self.sent)

    def all_commands(self) -> dict[str, list[NDArray[np.float64]]]:
        """What `commands` are now, which do not grow."""
        with self._lock:
            return {group: list(given) for group, given in self.commands.items()}

    def value(self, node: str, key: str) -> str:
        """An entry of a node's newest status, empty while there is none."""
        return self.told[node][-1].values.get(key, "") if self.told[node] else ""

    def moved_ns(self, since_ns: int) -> int | None:
        """When the last command was heard that differs from the one before, after a time; None: nothing moved."""
        sent = self.all_sent()
        for before, after in zip(reversed(sent[:-1]), reversed(sent), strict=False):
            if after.heard_ns < since_ns:
                return None
            if np.abs(after.position_rad - before.position_rad).max() > _MOVED_RAD:
                return after.heard_ns
        return None

    def strike(self, process: str, fault: str) -> int:
        """Tell a process of the rig to break; when it did, monotonic.

        Raises:
            LearnedArmError: It does not answer.
        """
        words = f"{process} {fault} "
        self._struck.clear()
        for _ in range(10):
            self._strike.publish(String(data=words.strip()))
            if self.until(lambda: any(each.startswith(words) for each in self._struck), 0.5):
                return int(next(each for each in self._struck if each.startswith(words)).rsplit(" ", 1)[1])
        raise LearnedArmError("no answer from a process of the rig", where=process, got=fault)

    def trigger(self, service: str) -> tuple[bool, str]:
        """Call a Trigger service."""
        return self._call(Trigger, service, Trigger.Request())

    def engage(self, node: str, on: bool = True) -> tuple[bool, str]:
        """Call `~/engage` of a node."""
        return self._call(SetBool, f"/{node}/engage", SetBool.Request(data=on))

    def set(self, node: str, **values: Any) -> tuple[bool, str]:
        """Set parameters, all or none."""
        changes = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=changes)
        result = self._ask(SetParametersAtomically, f"/{node}/set_parameters_atomically", request)
        return (False, "no answer") if result is None else (bool(result.result.successful), str(result.result.reason))

    def _call(self, kind: type, service: str, request: Any) -> tuple[bool, str]:
        result = self._ask(kind, service, request)
        return (False, "no answer") if result is None else (bool(result.success), str(result.message))

    def _ask(self, kind: type, service: str, request: Any) -> Any:
        client = self._clients.setdefault(service, None) or self._node.create_client(kind, service)
        self._clients[service] = client
        if not self.until(client.service_is_ready, _ANSWER_S):
            return None
        future = client.call_async(request)
        return future.result() if self.until(future.done, _ANSWER_S) else None

    def _look_at(self, kind: type, topic: str, take: Callable[[bytes], None]) -> None:
        self._looks.append((PolledSubscription(self._node, kind, topic, _EVERYTHING), take))

    def _look(self) -> None:
        while not self._closing.wait(_LOOK_S):
            with self._lock:
                for subscription, take in self._looks:
                    for raw in subscription.take():
                        take(raw)

    def _on_struck(self, message: String) -> None:
        self._struck.append(message.data)

    def _on_sent(self, raw: bytes, _info: object) -> None:
        view = cdr.read_joint_state(raw)
        # Without names it says that nothing was sent: the door rests.
        if view.names:
            with self._lock:
                self.sent.append(Sent(time.monotonic_ns(), view.stamp_ns, view.position))

    def _on_command(self, kept: list[NDArray[np.float64]], raw: bytes) -> None:
        kept.append(cdr.read_float64_array(raw))

    def _on_ticks(self, raw: bytes, _info: object) -> None:
        with self._lock:
            self.ticks.append(cdr.read_joint_state(raw).names)

    def know(self, raw: bytes) -> None:
        """A joint state that others may have heard, and this process not."""
        with self._lock:
            self.joints.setdefault(cdr.header_stamp_ns(raw), raw)

    def _on_joints(self, raw: bytes) -> None:
        self.joints.setdefault(cdr.header_stamp_ns(raw), bytes(raw))
        self.joints_heard_ns = time.monotonic_ns()

    def _on_status(self, kept: list[Told], message: DiagnosticStatus) -> None:
        kept.append(Told(time.monotonic_ns(), message.message, messages.status_values(message)))

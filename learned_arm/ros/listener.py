"""Raw messages of a few topics, taken on a thread that waits for nothing else.

An executor looks through everything a node has (timers, clients, some fifteen services) before and after each wait. A
wait set of only these subscriptions wakes a third of a millisecond sooner, for each message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from learned_arm.ros.polled import unwaited

Take = Callable[[bytes, dict[str, Any]], object]
_ROUND_NS = 50_000_000
_JOIN_S = 5.0


@dataclass
class _Source:
    kind: type
    topic: str
    profile: QoSProfile
    take: Take
    subscription: Subscription
    stuck: bool = False


class Listener:
    """Subscriptions with a thread of their own. `listen` to all, then `start`.

    Callbacks come on that thread, one after the other, with the raw message and what the middleware says about it. What
    they raise ends the listening and is raised again in the node's executor.

    Args:
        node: Owner of the subscriptions.
        name: Of the thread.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self._sources: list[_Source] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._error: Exception | None = None
        # The node's lists of what it has belong to the thread of its executor.
        self._attention = node.create_guard_condition(self._attend)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def listen(self, kind: type, topic: str, profile: QoSProfile, take: Take) -> None:
        """Subscribe; messages are kept by the middleware until `start`."""
        self._sources.append(_Source(kind, topic, profile, take, unwaited(self._node, kind, topic, profile)))

    def start(self) -> None:
        """Begin to call back."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and the subscriptions; not from a callback."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        self._node.destroy_guard_condition(self._attention)
        for source in self._sources:
            self._node.destroy_subscription(source.subscription)
        self._sources.clear()

    def _attend(self) -> None:
        if self._error is not None:
            raise self._error
        # See `data_recorder.intake`: a stuck subscription would give the same empty message for ever.
        with self._lock:
            for source in self._sources:
                if source.stuck:
                    self._node.destroy_subscription(source.subscription)
                    source.subscription = unwaited(self._node, source.kind, source.topic, source.profile)
                    source.stuck = False
                    words = f"{source.topic} was stuck in the middleware; subscribed anew"
                    self._node.get_logger().warning(words)

    def _run(self) -> None:
        waiting = rclpy_implementation.WaitSet(len(self._sources), 0, 0, 0, 0, 0, self._node.context.handle)
        try:
            with waiting:
                while not self._stopping.is_set():
                    for source, raw, info in self._arrived(waiting):
                        source.take(raw, info)
        except Exception as error:  # whatever it is: a node that hears nothing must not seem to work
            self._error = error
            self._attention.trigger()

    def _arrived(self, waiting: Any) -> list[tuple[_Source, bytes, dict[str, Any]]]:
        """Wait for messages, and take one of each topic that has any."""
        with self._lock:
            heard = [(source, source.subscription.handle) for source in self._sources if not source.stuck]
            for _, handle in heard:
                handle.__enter__()
        found: list[tuple[_Source, bytes, dict[str, Any]]] = []
        try:
            waiting.clear_entities()
            for _, handle in heard:
                waiting.add_subscription(handle)
            waiting.wait(_ROUND_NS)
            ready = set(waiting.get_ready_entities("subscription"))
            for source, handle in heard:
                taken = handle.take_message(source.kind, True) if handle.pointer in ready else None
                if taken is not None and taken[0]:
                    found.append((source, *taken))
                elif taken is not None:
                    source.stuck = True
                    self._attention.trigger()
        finally:
            for _, handle in heard:
                handle.__exit__(None, None, None)
        return found

"""A subscription that no executor waits for: its owner takes what has arrived when it has use for it."""

from __future__ import annotations

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription


class _NobodyWaits(CallbackGroup):
    """Keeps its members out of every executor's wait set."""

    def can_execute(self, entity: object) -> bool:
        """Never: so the executor neither waits for it nor wakes for it."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never asked."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Never told."""


def unwaited(node: Node, kind: type, topic: str, profile: QoSProfile) -> Subscription:
    """A subscription of raw messages that no executor waits for; its owner takes them by its handle."""
    return node.create_subscription(kind, topic, _never, profile, callback_group=_NobodyWaits(), raw=True)


class PolledSubscription:
    """Raw messages of a topic, kept by the middleware until they are taken.

    Waking an executor costs several times what reading a joint state does: a loop that runs anyway takes them itself.
    It learns of a message when it looks, so up to one of its periods after the message came.

    Args:
        node: Owner of the subscription.
        kind: Message class.
        topic: Topic.
        profile: Its depth bounds what is kept, and so what one `take` returns.
    """

    def __init__(self, node: Node, kind: type, topic: str, profile: QoSProfile) -> None:
        self._node, self._kind, self._depth = node, kind, profile.depth
        self._subscription = unwaited(node, kind, topic, profile)

    def take(self) -> list[bytes]:
        """Everything that has arrived since the last call, oldest first; from any one thread."""
        found: list[bytes] = []
        handle = self._subscription.handle
        with handle:
            while len(found) < self._depth and (taken := handle.take_message(self._kind, True)) is not None:
                found.append(taken[0])
        return found

    def close(self) -> None:
        """End the subscription; nothing may be taken any more."""
        self._node.destroy_subscription(self._subscription)


def _never(_raw: bytes) -> None:
    """The callback that a subscription must have."""

"""Subscribes to what an episode is made of as it appears, asking of no publisher more than it offers."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.event_handler import QoSSubscriptionEventType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from data_recorder import definitions
from data_recorder.intake import Intake
from data_recorder.rosbag2_metadata import Topic
from data_recorder.topics import TopicSelection
from learned_arm.errors import LearnedArmError
from learned_arm.pictures import TYPES
from learned_arm.ros import introspection

_SMALL_DEPTH = 1000
_IMAGE_DEPTH = 64


class Subscriber:
    """The recorder's topics.

    Args:
        node: Owner of the subscriptions.
        intake: Takes their messages.
        selection: Which topics are wanted.
        found: Called with each new topic before its first message can come.

    Attributes:
        offers: By topic how bags describe it.
        unrecordable: By topic the type that cannot be recorded here.
        transport_lost: By topic what the middleware says it lost, since `begin`.
    """

    def __init__(self, node: Node, intake: Intake, selection: TopicSelection, found: Callable[[Topic], object]) -> None:
        self._node, self._intake, self._selection, self._found = node, intake, selection, found
        self._publishers: dict[str, int] = {}
        self._lost_events: dict[str, Any] = {}
        self.offers: dict[str, Topic] = {}
        self.unrecordable: dict[str, str] = {}
        self.transport_lost: Counter[str] = Counter()

    def begin(self) -> None:
        """An episode starts: count anew."""
        self._publishers.clear()
        self._take_losses()
        self.transport_lost.clear()
        self.count_publishers()

    def count_publishers(self) -> dict[str, int]:
        """By topic the most publishers since `begin`; looks at what the transport lost as well."""
        self._take_losses()
        for topic in self.offers:
            self._publishers[topic] = max(self._publishers.get(topic, 0), self._node.count_publishers(topic))
        return dict(self._publishers)

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """By topic the most publishers and what the transport lost, as last counted; from any thread."""
        return dict(self._publishers), dict(self.transport_lost)

    def discover(self) -> None:
        """Subscribe to wanted topics that have a publisher by now, and anew to those that got stuck."""
        for topic, subscription in self._intake.renew_stuck().items():
            self._watch_losses(topic, subscription)
            self._node.get_logger().warning(f"{topic} was stuck in the middleware; subscribed anew")
        existing = [topic for topic, _ in self._node.get_topic_names_and_types()]
        for topic in self._selection.wanted(existing):
            if topic in self.offers:
                continue
            publishers = self._node.get_publishers_info_by_topic(topic)
            if publishers and self.unrecordable.get(topic) != publishers[0].topic_type:
                self._subscribe(topic, publishers)

    def _subscribe(self, topic: str, publishers: list[TopicEndpointInfo]) -> None:
        message_type = publishers[0].topic_type
        try:
            package, name = definitions.split_type(message_type)
            message_class = getattr(importlib.import_module(f"{package}.msg"), name)
            schema = definitions.schema_text(message_type)
        except (LearnedArmError, ImportError, AttributeError) as error:
            self.unrecordable[topic] = message_type
            self._node.get_logger().error(f"cannot record {topic}: {error}")
            return
        self.unrecordable.pop(topic, None)
        offers = tuple(introspection.qos_as_dict(each.qos_profile) for each in publishers)
        offer = Topic(topic, message_type, schema, offers, introspection.type_hash_text(publishers[0]))
        profile, latched = _profile(message_type, [each.qos_profile for each in publishers])
        self.offers[topic] = offer
        self._found(offer)
        self._watch_losses(topic, self._intake.subscribe(topic, message_class, profile, latched))

    def _watch_losses(self, topic: str, subscription: Any) -> None:
        kind = QoSSubscriptionEventType.RCL_SUBSCRIPTION_MESSAGE_LOST
        with subscription.handle:
            self._lost_events[topic] = rclpy_implementation.EventHandle(subscription.handle, kind)

    def _take_losses(self) -> None:
        # In an executor's wait set the event of a subscription wakes it for every message: it is looked at instead.
        for topic, event in self._lost_events.items():
            with event:
                lost = event.take_event()
            if lost is not None and lost.total_count_change > 0:
                self.transport_lost[topic] += lost.total_count_change


def _profile(message_type: str, offered: Iterable[QoSProfile]) -> tuple[QoSProfile, bool]:
    """The most that every publisher offers (an incompatible pair exchanges nothing), and whether it is latched."""
    offered = list(offered)
    reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in offered)
    latched = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered)
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_IMAGE_DEPTH if message_type in TYPES.values() else _SMALL_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
    return profile, latched

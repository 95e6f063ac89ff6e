"""What the ROS graph looks like: nodes, topics, types, type hashes and the QoS of each endpoint."""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import get_rmw_implementation_identifier

_SECOND_NS = 1_000_000_000


def qos_as_dict(profile: QoSProfile) -> dict[str, Any]:
    """A profile in rosbag2's words. Discovery carries no history depth: it reads `unknown` and 0."""
    return {
        "history": profile.history.short_key,
        "depth": profile.depth,
        "reliability": profile.reliability.short_key,
        "durability": profile.durability.short_key,
        "deadline": _duration(profile.deadline),
        "lifespan": _duration(profile.lifespan),
        "liveliness": profile.liveliness.short_key,
        "liveliness_lease_duration": _duration(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": bool(profile.avoid_ros_namespace_conventions),
    }


def type_hash_text(endpoint: TopicEndpointInfo) -> str:
    """`RIHS01_...`, or '' where the endpoint does not tell."""
    text = str(endpoint.topic_type_hash)
    return text if text.startswith("RIHS") else ""


def graph(node: Node) -> dict[str, Any]:
    """Nodes and topics that this node has discovered, as plain data. It asks a cache, it never waits."""
    names = sorted(f"{namespace.rstrip('/')}/{name}" for name, namespace in node.get_node_names_and_namespaces())
    topics = {
        topic: {
            "types": list(types),
            "publishers": [_endpoint(each) for each in node.get_publishers_info_by_topic(topic)],
            "subscriptions": [_endpoint(each) for each in node.get_subscriptions_info_by_topic(topic)],
        }
        for topic, types in sorted(node.get_topic_names_and_types())
        if topic not in ("/rosout", "/parameter_events")
    }
    return {"rmw": get_rmw_implementation_identifier(), "nodes": names, "topics": topics}


def _endpoint(info: TopicEndpointInfo) -> dict[str, Any]:
    return {
        "node": f"{info.node_namespace.rstrip('/')}/{info.node_name}",
        "type": info.topic_type,
        "type_hash": type_hash_text(info),
        "qos": qos_as_dict(info.qos_profile),
    }


def _duration(duration: Duration) -> dict[str, int]:
    return {"sec": duration.nanoseconds // _SECOND_NS, "nsec": duration.nanoseconds % _SECOND_NS}

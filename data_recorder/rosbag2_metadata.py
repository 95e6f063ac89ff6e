"""rosbag2's description of a bag, version 9: `metadata.yaml`, and the same inside the MCAP file.

Field names and order: rosbag2_storage (jazzy), `yaml.hpp` and `qos.cpp`. Version 9 does not open on Humble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

VERSION = 9
TOP_KEY = "rosbag2_bagfile_information"
FILE_NAME = "metadata.yaml"
ROS_DISTRO = "jazzy"
_INFINITE = {"sec": 9223372036, "nsec": 854775807}
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def qos_profile(
    reliability: str = "reliable", durability: str = "volatile", history: str = "keep_last", depth: int = 100
) -> dict[str, Any]:
    """An offered QoS profile in rosbag2's words, without deadlines."""
    return {
        "history": history,
        "depth": depth,
        "reliability": reliability,
        "durability": durability,
        "deadline": dict(_INFINITE),
        "lifespan": dict(_INFINITE),
        "liveliness": "automatic",
        "liveliness_lease_duration": dict(_INFINITE),
        "avoid_ros_namespace_conventions": False,
    }


@dataclass(frozen=True)
class Topic:
    """A topic of a bag.

    Attributes:
        name: Topic name.
        type: Message type, such as `sensor_msgs/msg/Image`.
        schema_text: Definition in the form `ros2msg`, dependencies included.
        offered_qos: What each publisher offers, see `qos_profile`.
        type_hash: `RIHS01_...`, or '' where it is not known.
    """

    name: str
    type: str
    schema_text: str
    offered_qos: tuple[Mapping[str, Any], ...] = ()
    type_hash: str = ""

    @property
    def offered_qos_yaml(self) -> str:
        """The profiles as the channel metadata carries them."""
        return to_yaml([dict(each) for each in self.offered_qos])


@dataclass(frozen=True)
class Extent:
    """Messages of a bag and the log stamps of the first and the last one, 0 when there is none."""

    messages: int = 0
    start_ns: int = 0
    end_ns: int = 0


def information(
    file_name: str, extent: Extent, topics: Sequence[tuple[Topic, int]], custom_data: Mapping[str, str]
) -> dict[str, Any]:
    """The description of a bag of one file.

    Args:
        file_name: Name of the MCAP file.
        extent: Messages and times.
        topics: Each topic with its number of messages.
        custom_data: Strings of our own.
    """
    start = {"nanoseconds_since_epoch": extent.start_ns}
    duration = {"nanoseconds": extent.end_ns - extent.start_ns}
    return {
        "version": VERSION,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": extent.messages,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [dict(each) for each in topic.offered_qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": count,
            }
            for topic, count in topics
        ],
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [
            {
                "path": file_name,
                "starting_time": dict(start),
                "duration": dict(duration),
                "message_count": extent.messages,
            }
        ],
        "custom_data": dict(custom_data),
        "ros_distro": ROS_DISTRO,
    }


def to_yaml(value: Any) -> str:
    """YAML in block style, keys in their given order, repeated parts written out: no anchors."""

    class Dumper(_DUMPER):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)

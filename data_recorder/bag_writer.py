"""Writes a rosbag2 bag (MCAP, uncompressed) that the C++ tools play, list and reindex.

The folder is the caller's: it is written under a temporary name and renamed when `close` has made it durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_recorder import mcap_records as mcap
from data_recorder import rosbag2_metadata as rosbag2
from data_recorder.disk_file import DiskFile
from data_recorder.identity import MessagesHash
from data_recorder.mcap_stream import McapStream
from data_recorder.rosbag2_metadata import Extent, Topic
from learned_arm.durable import write_whole
from learned_arm.errors import LearnedArmError

CHUNK_BYTES = 1024 * 1024
# Together with what the chunk holds before it, a record that may be read.
LARGEST_MESSAGE_BYTES = mcap.LARGEST_RECORD_BYTES - 2 * CHUNK_BYTES
PROFILE = "ros2"
METADATA_RECORD = "rosbag2"
METADATA_KEY = "serialized_metadata"


@dataclass(frozen=True)
class BagSummary:
    """A finished bag: its extent, messages by topic, and the identity of what it holds."""

    extent: Extent
    counts: dict[str, int]
    messages_hash: str


def bag_file_name(name: str) -> str:
    """Name of the MCAP file of a bag; `ros2 bag reindex` knows files by the number at the end."""
    return f"{name}_0.mcap"


class BagWriter:
    """One bag of one file.

    Args:
        folder: An existing folder, under whatever name it has while it is written.
        name: The bag's name, which the folder will have in the end.
        custom_data: Strings kept in the bag's metadata.
        chunk_bytes: Size at which a chunk is written out.
        sync_s: How often what was handed to the system is put on the disk, in seconds; None: only by `close`.
        reserve_bytes: Spare room for the end of the bag on a full disk; 0: none.

    Raises:
        OSError: The file exists or cannot be written, or there is no spare room.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        custom_data: Mapping[str, str] | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        *,
        sync_s: float | None = None,
        reserve_bytes: int = 0,
    ) -> None:
        self._folder = folder
        self._file_name = bag_file_name(name)
        self._custom_data = dict(custom_data or {})
        self._topics: dict[str, tuple[Topic, int]] = {}
        self._schemas: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._largest_bytes = 0
        self._start_ns: int | None = None
        self._end_ns = 0
        self._hash = MessagesHash()
        self._file = DiskFile(folder / self._file_name, sync_s, reserve_bytes)
        try:
            self._writer = McapStream(self._file, chunk_bytes)
            self._writer.start(profile=PROFILE, library="learned_arm")
            self._describe()
            self._writer.flush()
        except OSError:
            self.abandon()
            raise

    @property
    def full(self) -> OSError | None:
        """Why the bag should be closed now: the disk is full, and only the spare room is left."""
        return self._file.full

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics added so far."""
        return tuple(self._topics)

    def add_topic(self, topic: Topic) -> None:
        """Add a topic; adding it again changes nothing.

        Raises:
            LearnedArmError: It is there already with another type.
        """
        if topic.name in self._topics:
            known = self._topics[topic.name][0]
            if known.type != topic.type:
                raise LearnedArmError("topic has two types", where=topic.name, got=topic.type, allowed=known.type)
            return
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._writer.register_schema(topic.type, "ros2msg", topic.schema_text.encode())
        metadata = {"offered_qos_profiles": topic.offered_qos_yaml, "topic_type_hash": topic.type_hash}
        channel = self._writer.register_channel(topic.name, "cdr", self._schemas[topic.type], metadata)
        self._topics[topic.name] = (topic, channel)
        self._counts[topic.name] = 0

    def write(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Write one message.

        Args:
            topic: A topic that was added.
            data: The message with its 4-byte CDR header.
            log_time_ns: When it was received.
            publish_time_ns: When it was published.

        Raises:
            LearnedArmError: It is so large that the bag could not be read again.
        """
        if len(data) > LARGEST_MESSAGE_BYTES:
            raise LearnedArmError(
                "message too large", where=topic, got=f"{len(data)} bytes", allowed=f"{LARGEST_MESSAGE_BYTES} bytes"
            )
        if len(data) > self._largest_bytes:
            # When the disk is found full, the chunk that was on its way holds it.
            self._file.spare(len(data) - self._largest_bytes)
            self._largest_bytes = len(data)
        known, channel = self._topics[topic]
        self._writer.add_message(channel, log_time_ns, data, publish_time_ns)
        self._hash.add(topic, known.type, log_time_ns, publish_time_ns, data)
        self._counts[topic] += 1
        self._start_ns = log_time_ns if self._start_ns is None else min(self._start_ns, log_time_ns)
        self._end_ns = max(self._end_ns, log_time_ns)

    def spare(self, more_bytes: int) -> None:
        """Keep more room free for what is written beside the bag at its end."""
        self._file.spare(more_bytes)

    def flush(self) -> None:
        """Hand what was written to the operating system, where a killed process no longer loses it."""
        self._writer.flush()

    def close(self, custom_data: Mapping[str, str] | None = None) -> BagSummary:
        """Finish the file, make it durable and write `metadata.yaml`.

        Args:
            custom_data: Further strings for the metadata, known only now.
        """
        self._custom_data.update(custom_data or {})
        self._writer.flush()
        self._describe()
        self._writer.finish()
        self._file.close()
        document = rosbag2.to_yaml({rosbag2.TOP_KEY: self._information()})
        write_whole(self._folder / rosbag2.FILE_NAME, document.encode())
        return BagSummary(self._extent(), dict(self._counts), self._hash.hexdigest())

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.abandon()

    def _extent(self) -> Extent:
        return Extent(sum(self._counts.values()), self._start_ns or 0, self._end_ns)

    def _information(self) -> dict[str, object]:
        topics = [(topic, self._counts[name]) for name, (topic, _) in self._topics.items()]
        return rosbag2.information(self._file_name, self._extent(), topics, self._custom_data)

    def _describe(self) -> None:
        self._writer.add_metadata(METADATA_RECORD, {METADATA_KEY: rosbag2.to_yaml(self._information())})

"""Reads rosbag2 MCAP bags without ROS: bounded, in file order, with one-line errors for whatever is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from data_recorder import bounded_yaml
from data_recorder import mcap_records as mcap
from data_recorder import rosbag2_metadata as rosbag2
from data_recorder.identity import MessagesHash
from learned_arm.errors import LearnedArmError

_MOST_FILES = 10_000
_LARGEST_TABLE_BYTES = 32_000_000
_LARGEST_STATISTICS_BYTES = 46 + 10 * 65536


class BagMessage(NamedTuple):
    """A message as it was received: stamps in nanoseconds of system time, raw bytes with the CDR header."""

    topic: str
    type: str
    log_time_ns: int
    publish_time_ns: int
    data: bytes


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag: its type, definition, offered QoS (YAML), type hash, and how many messages it has."""

    name: str
    type: str
    schema_text: str
    offered_qos_yaml: str
    type_hash: str
    messages: int


class ChannelTable:
    """Schemas and channels of a file as they appear; each id keeps its first meaning."""

    def __init__(self) -> None:
        self.schemas: dict[int, mcap.Schema] = {}
        self.channels: dict[int, mcap.Channel] = {}
        self._bytes = 0

    def learn(self, opcode: int, content: bytes | memoryview) -> None:
        """Take a schema or channel record; other records are ignored."""
        if opcode == mcap.SCHEMA:
            self._keep(self.schemas, *mcap.parse_schema(content), len(content))
        elif opcode == mcap.CHANNEL:
            number, channel = mcap.parse_channel(content)
            if channel.encoding != "cdr":
                raise LearnedArmError(
                    "unknown message encoding", where=channel.topic, got=channel.encoding, allowed="cdr"
                )
            if channel.schema_id not in self.schemas:
                raise LearnedArmError("topic without a definition", where=channel.topic, got=channel.schema_id)
            self._keep(self.channels, number, channel, len(content))

    def topic(self, channel_id: int, messages: int = 0) -> BagTopic:
        """The topic of a channel."""
        if channel_id not in self.channels:
            raise LearnedArmError("message of an unknown channel", got=channel_id, allowed=sorted(self.channels))
        channel = self.channels[channel_id]
        schema = self.schemas[channel.schema_id]
        metadata = channel.metadata
        return BagTopic(
            channel.topic,
            schema.name,
            schema.text,
            metadata.get("offered_qos_profiles", ""),
            metadata.get("topic_type_hash", ""),
            messages,
        )

    def _keep(self, table: dict[int, Any], number: int, value: Any, size: int) -> None:
        if number not in table:
            self._bytes += size
            if self._bytes > _LARGEST_TABLE_BYTES:
                raise LearnedArmError("too many definitions", allowed=f"{_LARGEST_TABLE_BYTES} bytes of them")
        if table.setdefault(number, value) != value:
            raise LearnedArmError("an id has two meanings", got=number)


class BagReader:
    """A finished bag.

    Args:
        path: The bag's folder, or one MCAP file.

    Raises:
        LearnedArmError: There is no bag, it was never finished (`recover` helps), or it is corrupt.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.files = _bag_files(self.path)
        self.topics: dict[str, BagTopic] = {}
        for file in self.files:
            for topic in _summary(file):
                known = self.topics.get(topic.name)
                if known is not None and known.type != topic.type:
                    raise LearnedArmError("topic has two types", where=topic.name, got=topic.type, allowed=known.type)
                before = known.messages if known is not None else 0
                self.topics[topic.name] = BagTopic(**{**vars(topic), "messages": topic.messages + before})

    @property
    def message_count(self) -> int:
        """Messages of all topics, by the file's own statistics."""
        return sum(topic.messages for topic in self.topics.values())

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Messages in file order (our recorder writes in the order of receive stamps).

        Args:
            topics: Only these; None for all.

        Raises:
            LearnedArmError: A wanted topic is not in the bag, or the file is corrupt or not as long as it
            says.
        """
        wanted = set(self.topics if topics is None else topics)
        if not wanted <= set(self.topics):
            missing = sorted(wanted - set(self.topics))
            raise LearnedArmError("topic not in the bag", where=self.path, got=missing, allowed=sorted(self.topics))
        expected = sum(self.topics[name].messages for name in wanted)
        found = 0
        for file in self.files:
            for message in _file_messages(file, wanted):
                found += 1
                yield message
        if found != expected:
            raise LearnedArmError(
                "message count differs from the statistics", where=self.path, got=found, allowed=expected
            )


def messages_hash(path: str | Path) -> str:
    """Identity of a bag, read from its messages."""
    digest = MessagesHash()
    for message in BagReader(path).messages():
        digest.add(*message)
    return digest.hexdigest()


def _bag_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    description = path / rosbag2.FILE_NAME
    hint = f"a folder with {rosbag2.FILE_NAME}; an unfinished bag can be recovered"
    # A pipe under that name would be waited for.
    if not description.is_file():
        raise LearnedArmError("no bag here", where=path, allowed=hint)
    try:
        with open(description, "rb") as file:
            data = file.read(bounded_yaml.LARGEST_BYTES + 1)
    except OSError as error:
        raise LearnedArmError("no bag here", where=path, got=error.strerror, allowed=hint) from error
    names = _named_files(bounded_yaml.load(data, description), description)
    try:
        missing = [name for name in names if not (path / name).is_file()]
    except (OSError, ValueError) as error:
        raise LearnedArmError("bag file has no possible name", where=description, got=str(error)) from error
    if missing or not names:
        raise LearnedArmError("bag file missing", where=path, got=missing or "no file named", allowed="all files there")
    return [path / name for name in names]


def _named_files(document: Any, where: Path) -> list[str]:
    """Names of a bag's files. Only the base name counts: a foreign bag must not lead us to other folders."""
    try:
        found = document[rosbag2.TOP_KEY]["relative_file_paths"]
    except (KeyError, TypeError) as error:
        raise LearnedArmError("cannot be read", where=where, got=str(error), allowed="a rosbag2 description") from error
    if not isinstance(found, list) or len(found) > _MOST_FILES or not all(isinstance(each, str) for each in found):
        allowed = f"a list of at most {_MOST_FILES} names"
        raise LearnedArmError("no list of files", where=where, got=type(found).__name__, allowed=allowed)
    return [Path(each).name for each in found]


def _summary(path: Path) -> list[BagTopic]:
    """Topics of one file from the section behind its data."""
    with OpenedFile(path) as (file, size):
        file.seek(size - len(mcap.MAGIC) - mcap.FOOTER_BYTES)
        tail = file.read(mcap.FOOTER_BYTES + len(mcap.MAGIC))
        if tail[-len(mcap.MAGIC) :] != mcap.MAGIC or tail[0] != mcap.FOOTER:
            raise LearnedArmError("file was never finished", allowed="recover it first")
        start = mcap.Fields(tail[9:]).number("Q")
        if not len(mcap.MAGIC) <= start < size:
            raise LearnedArmError("file has no summary", got=start, allowed="one with statistics")
        file.seek(start)
        table, counts = ChannelTable(), None
        for opcode, content in mcap.read_records(file, size - start):
            table.learn(opcode, content)
            if opcode == mcap.STATISTICS:
                counts = _channel_counts(content)
        if counts is None:
            raise LearnedArmError("file has no statistics")
        return [table.topic(number, counts.get(number, 0)) for number in table.channels]


def _channel_counts(content: bytes) -> dict[int, int]:
    if len(content) > _LARGEST_STATISTICS_BYTES:
        raise LearnedArmError("statistics too large", got=len(content), allowed=f"{_LARGEST_STATISTICS_BYTES} bytes")
    fields = mcap.Fields(content)
    fields.view(42)
    inner = mcap.Fields(fields.view(fields.number("I")))
    counts: dict[int, int] = {}
    while not inner.done:
        channel = inner.number("H")
        counts[channel] = inner.number("Q")
    return counts


def _file_messages(path: Path, wanted: set[str]) -> Iterator[BagMessage]:
    with OpenedFile(path) as (file, size):
        file.seek(len(mcap.MAGIC))
        table = ChannelTable()
        names: dict[int, tuple[str, str]] = {}
        for opcode, content in mcap.data_records(file, size - len(mcap.MAGIC)):
            if opcode != mcap.MESSAGE:
                table.learn(opcode, content)
                continue
            message = mcap.parse_message(content)
            if message.channel_id not in names:
                topic = table.topic(message.channel_id)
                names[message.channel_id] = topic.name, topic.type
            name, message_type = names[message.channel_id]
            if name in wanted:
                yield BagMessage(name, message_type, message.log_time_ns, message.publish_time_ns, bytes(message.data))


class OpenedFile:
    """Opens an MCAP file, checks that it is one, and names it in every error raised within."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> tuple[BinaryIO, int]:
        try:
            self._file = open(self._path, "rb")
        except OSError as error:
            raise LearnedArmError("cannot be opened", where=self._path, got=error.strerror) from error
        size = self._path.stat().st_size
        if size < 2 * len(mcap.MAGIC) + mcap.FOOTER_BYTES or self._file.read(len(mcap.MAGIC)) != mcap.MAGIC:
            self._file.close()
            raise LearnedArmError("not a finished MCAP file", where=self._path, got=f"{size} bytes")
        return self._file, size

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._file.close()
        if isinstance(error, LearnedArmError) and error.where is None:
            raise LearnedArmError(error.what, where=self._path, got=error.got, allowed=error.allowed) from error
        if isinstance(error, OSError):
            raise LearnedArmError("cannot be read", where=self._path, got=error.strerror) from error

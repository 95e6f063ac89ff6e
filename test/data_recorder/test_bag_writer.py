"""Every rule that the C++ tools of rosbag2 hold a bag to, and an independent reader of every message."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from mcap.records import Metadata
from mcap.stream_reader import StreamReader
from rosbags.highlevel import AnyReader

from data_recorder.bag_reader import BagReader
from data_recorder.bag_writer import LARGEST_MESSAGE_BYTES, BagWriter
from data_recorder.rosbag2_metadata import Topic, qos_profile
from learned_arm.errors import LearnedArmError

NAME = "20260131T120000Z-1f2e3d4c"
DURATION_KEYS = {"deadline", "lifespan", "liveliness_lease_duration"}


@pytest.fixture
def bag(tmp_path: Path, make_messages, write_bag):
    messages = make_messages(500)
    folder = tmp_path / NAME
    write_bag(folder, NAME, messages)
    return folder, messages


def test_rosbags_reads_every_message_equal(bag) -> None:
    folder, messages = bag
    with AnyReader([folder]) as reader:
        assert {each.topic: each.msgtype for each in reader.connections} == {m.topic: m.type for m in messages}
        read = [(c.topic, c.msgtype, stamp, bytes(raw)) for c, stamp, raw in reader.messages()]
    # Equal stamps may come in any order from a reader that merges by time.
    assert sorted(read) == sorted((m.topic, m.type, m.log_time_ns, m.data) for m in messages)
    assert [each[2] for each in read] == [m.log_time_ns for m in messages]


def test_file_names_and_profile(bag) -> None:
    folder, _ = bag
    assert sorted(path.name for path in folder.iterdir()) == [f"{NAME}_0.mcap", "metadata.yaml"]
    with open(folder / f"{NAME}_0.mcap", "rb") as file:
        assert make_reader(file).get_header().profile == "ros2"


def test_schemas_channels_and_messages(bag, topics) -> None:
    folder, messages = bag
    with open(folder / f"{NAME}_0.mcap", "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        read = list(reader.iter_messages(log_time_order=False))
    assert {(s.name, s.encoding, s.data) for s in summary.schemas.values()} == {
        (topic.type, "ros2msg", topic.schema_text.encode()) for topic in topics
    }
    by_name = {channel.topic: channel for channel in summary.channels.values()}
    for topic in topics:
        channel = by_name[topic.name]
        assert channel.schema_id != 0 and summary.schemas[channel.schema_id].name == topic.type
        assert channel.message_encoding == "cdr"
        assert set(channel.metadata) == {"offered_qos_profiles", "topic_type_hash"}
        assert channel.metadata["topic_type_hash"] == topic.type_hash
        assert yaml.safe_load(channel.metadata["offered_qos_profiles"]) == [dict(q) for q in topic.offered_qos]
    for (_, channel, message), expected in zip(read, messages, strict=True):
        assert channel.topic == expected.topic
        assert (message.log_time, message.publish_time) == (expected.log_time_ns, expected.publish_time_ns)
        assert message.sequence == 0 and message.data == expected.data


def test_statistics_and_indexes(bag) -> None:
    folder, messages = bag
    with open(folder / f"{NAME}_0.mcap", "rb") as file:
        summary = make_reader(file).get_summary()
        assert summary is not None and summary.statistics is not None
    statistics = summary.statistics
    assert statistics.message_count == len(messages)
    assert statistics.message_start_time == messages[0].log_time_ns
    assert statistics.message_end_time == messages[-1].log_time_ns
    counts = {summary.channels[number].topic: count for number, count in statistics.channel_message_counts.items()}
    assert counts == {topic: sum(m.topic == topic for m in messages) for topic in counts}
    assert len(summary.chunk_indexes) == statistics.chunk_count > 3
    assert all(index.message_index_offsets and index.compression == "" for index in summary.chunk_indexes)
    assert len(summary.metadata_indexes) == 2


def test_the_metadata_record_is_written_at_open_and_at_close(bag) -> None:
    folder, messages = bag
    with open(folder / f"{NAME}_0.mcap", "rb") as file:
        records = [record for record in StreamReader(file).records if isinstance(record, Metadata)]
    assert [record.name for record in records] == ["rosbag2", "rosbag2"]
    assert all(set(record.metadata) == {"serialized_metadata"} for record in records)
    first, last = (yaml.safe_load(record.metadata["serialized_metadata"]) for record in records)
    assert (first["message_count"], last["message_count"]) == (0, len(messages))
    assert last == yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


def test_metadata_yaml_is_version_9_to_the_letter(bag, topics) -> None:
    folder, messages = bag
    text = (folder / "metadata.yaml").read_text()
    assert "&" not in text and "*" not in text
    document = yaml.safe_load(text)
    assert list(document) == ["rosbag2_bagfile_information"]
    info = document["rosbag2_bagfile_information"]
    start_ns, end_ns = messages[0].log_time_ns, messages[-1].log_time_ns
    file = f"{NAME}_0.mcap"
    listed = info.pop("topics_with_message_count")
    assert info == {
        "version": 9,
        "storage_identifier": "mcap",
        "duration": {"nanoseconds": end_ns - start_ns},
        "starting_time": {"nanoseconds_since_epoch": start_ns},
        "message_count": len(messages),
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file],
        "files": [
            {
                "path": file,
                "starting_time": {"nanoseconds_since_epoch": start_ns},
                "duration": {"nanoseconds": end_ns - start_ns},
                "message_count": len(messages),
            }
        ],
        "custom_data": {"key": "value=with equals", "late": "known at the end"},
        "ros_distro": "jazzy",
    }
    assert [each["topic_metadata"]["name"] for each in listed] == [topic.name for topic in topics]
    for each, topic in zip(listed, topics, strict=True):
        assert each["message_count"] == sum(m.topic == topic.name for m in messages)
        assert each["topic_metadata"] == {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": [dict(profile) for profile in topic.offered_qos],
            "type_description_hash": topic.type_hash,
        }


def test_a_qos_profile_has_every_key_and_infinite_durations() -> None:
    profile = qos_profile("best_effort", depth=5)
    assert {key: value for key, value in profile.items() if key not in DURATION_KEYS} == {
        "history": "keep_last",
        "depth": 5,
        "reliability": "best_effort",
        "durability": "volatile",
        "liveliness": "automatic",
        "avoid_ros_namespace_conventions": False,
    }
    assert all(profile[key] == {"sec": 9223372036, "nsec": 854775807} for key in DURATION_KEYS)


def test_an_empty_bag_is_a_bag(tmp_path: Path, write_bag) -> None:
    write_bag(tmp_path / NAME, NAME, [])
    with AnyReader([tmp_path / NAME]) as reader:
        assert reader.message_count == 0


def test_one_topic_has_one_type(tmp_path: Path, topics) -> None:
    bag = BagWriter(tmp_path, NAME)
    bag.add_topic(topics[0])
    bag.add_topic(topics[0])
    with pytest.raises(LearnedArmError, match="two types"):
        bag.add_topic(Topic("/words", "std_msgs/msg/Bool", "bool data\n"))
    bag.abandon()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    BagWriter(tmp_path, NAME).close()
    with pytest.raises(FileExistsError):
        BagWriter(tmp_path, NAME)


def test_what_may_be_written_can_be_read(tmp_path: Path, topics) -> None:
    bag = BagWriter(tmp_path, NAME)
    bag.add_topic(topics[0])
    for size in (1_000_000, LARGEST_MESSAGE_BYTES):
        bag.write("/words", bytes(size), 1, 1)
    with pytest.raises(LearnedArmError, match="message too large"):
        bag.write("/words", bytes(LARGEST_MESSAGE_BYTES + 1), 1, 1)
    bag.close()
    assert [len(m.data) for m in BagReader(tmp_path).messages()] == [1_000_000, LARGEST_MESSAGE_BYTES]

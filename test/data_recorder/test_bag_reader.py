"""The reader gives back what was written, and answers any damage with one line."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from data_recorder.bag_reader import BagMessage, BagReader, messages_hash
from data_recorder.identity import MessagesHash
from learned_arm.errors import LearnedArmError

NAME = "bag"
MAGIC = b"\x89MCAP0\r\n"
Plain = tuple[str, str, int, int, bytes]


@pytest.fixture
def folder(tmp_path: Path, make_messages, write_bag) -> Path:
    write_bag(tmp_path / NAME, NAME, make_messages(300))
    return tmp_path / NAME


def read(path: Path) -> list[BagMessage]:
    return list(BagReader(path).messages())


def rewritten(source: Path, target: Path, compression: CompressionType, reverse: bool = False) -> None:
    """The same messages in another layout, by the mcap library."""
    with open(source, "rb") as file, open(target, "wb") as out:
        writer = Writer(out, chunk_size=700, compression=compression)
        writer.start("ros2")
        channels: dict[int, int] = {}
        found = list(make_reader(file).iter_messages(log_time_order=False))
        for schema, channel, message in reversed(found) if reverse else found:
            assert schema is not None
            if channel.id not in channels:
                number = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, "cdr", number, channel.metadata)
            writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()


def test_what_was_written_is_read(folder: Path, make_messages) -> None:
    reader = BagReader(folder)
    assert list(reader.messages()) == make_messages(300)
    assert reader.message_count == 300
    only = [m for m in make_messages(300) if m.topic == "/words"]
    assert list(reader.messages(["/words"])) == only
    assert reader.topics["/words"].messages == len(only)
    with pytest.raises(LearnedArmError, match="topic not in the bag"):
        list(reader.messages(["/nowhere"]))


def test_the_writer_and_the_reader_agree_on_the_identity(tmp_path: Path, make_messages, write_bag) -> None:
    messages = make_messages(100)
    written = write_bag(tmp_path / "a", "a", messages)
    assert written == messages_hash(tmp_path / "a")
    assert written == write_bag(tmp_path / "b", "b", messages, chunk_bytes=100_000)


@pytest.mark.parametrize("compression", list(CompressionType))
@pytest.mark.parametrize("reverse", [False, True])
def test_layout_order_and_compression_do_not_change_the_identity(
    folder: Path, tmp_path: Path, compression: CompressionType, reverse: bool
) -> None:
    rewritten(folder / f"{NAME}_0.mcap", tmp_path / "other.mcap", compression, reverse)
    assert messages_hash(tmp_path / "other.mcap") == messages_hash(folder)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/a", "/b"]),
            st.sampled_from(["p/msg/A", "p/msg/B"]),
            st.integers(0, 2**62),
            st.integers(0, 2**62),
            st.binary(max_size=8),
        ),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_any_change_changes_the_identity(messages: list[tuple[str, str, int, int, bytes]], rng: random.Random) -> None:
    def digest(each: list[tuple[str, str, int, int, bytes]]) -> str:
        found = MessagesHash()
        for message in each:
            found.add(*message)
        return found.hexdigest()

    original = digest(messages)
    assert digest(rng.sample(messages, len(messages))) == original
    assert digest(messages[1:]) != original
    assert digest([*messages, messages[0]]) != original
    topic, kind, log_ns, publish_ns, data = messages[0]
    for changed in (
        (topic + "x", kind, log_ns, publish_ns, data),
        (topic, kind + "x", log_ns, publish_ns, data),
        (topic, kind, log_ns + 1, publish_ns, data),
        (topic, kind, log_ns, publish_ns + 1, data),
        (topic, kind, log_ns, publish_ns, data + b"\0"),
    ):
        assert digest([changed, *messages[1:]]) != original


def test_the_identity_is_the_hash_of_the_sorted_digests(make_messages) -> None:
    """Written down here once more, since it must never change."""
    found, digests = MessagesHash(), []
    for m in make_messages(300):
        found.add(*m)
        names = b"".join(struct.pack("<I", len(each)) + each.encode() for each in (m.topic, m.type))
        stamps = struct.pack("<qqQ", m.log_time_ns, m.publish_time_ns, len(m.data))
        digests.append(blake3(names + stamps + m.data).digest())
    assert found.hexdigest() == blake3(b"".join(sorted(digests))).hexdigest()
    # Of nothing, as the paper on BLAKE3 has it among its test vectors.
    assert MessagesHash().hexdigest() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def one_line(path: Path) -> str:
    with pytest.raises(LearnedArmError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bag_cut_anywhere_is_refused(folder: Path, tmp_path: Path) -> None:
    data = (folder / f"{NAME}_0.mcap").read_bytes()
    target = tmp_path / "cut.mcap"
    rng = random.Random(1)
    for length in [
        0,
        1,
        7,
        8,
        20,
        len(data) - 1,
        len(data) - 8,
        *(rng.randrange(len(data)) for _ in range(40)),
    ]:
        target.write_bytes(data[:length])
        one_line(target)


def test_damaged_bytes_never_crash_and_never_change_a_message_silently(folder: Path, tmp_path: Path) -> None:
    data = (folder / f"{NAME}_0.mcap").read_bytes()
    good = read(folder)
    target = tmp_path / "damaged.mcap"
    rng = random.Random(2)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        at = rng.randrange(len(damaged))
        damaged[at : at + rng.choice([1, 8])] = rng.randbytes(rng.choice([1, 8]))
        target.write_bytes(damaged)
        try:
            # Chunks carry checksums; outside of them lie the summary, indexes and metadata.
            assert read(target) == good
        except LearnedArmError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**40, 300 * 1024 * 1024])
def test_a_length_that_lies_takes_no_memory(tmp_path: Path, length: int) -> None:
    target = tmp_path / "liar.mcap"
    target.write_bytes(MAGIC + struct.pack("<BQ", 0x06, length) + bytes(200) + MAGIC)
    one_line(target)


@pytest.mark.parametrize("declared", [1_000, 2**40])
def test_a_decompression_bomb_is_refused(tmp_path: Path, declared: int) -> None:
    """A zstd frame that declares 200 MB inside a chunk that declares less."""
    bomb = zstandard.compress(bytes(200_000_000))
    content = struct.pack("<QQQII", 0, 0, declared, 0, 4) + b"zstd" + struct.pack("<Q", len(bomb)) + bomb
    header = struct.pack("<BQ", 0x01, 8) + bytes(8)
    body = MAGIC + header + struct.pack("<BQ", 0x06, len(content)) + content + struct.pack("<BQI", 0x0F, 4, 0)
    statistics = struct.pack("<QHIIIIQQI", 0, 0, 0, 0, 0, 1, 0, 0, 0)
    tail = struct.pack("<BQ", 0x0B, len(statistics)) + statistics
    footer = struct.pack("<BQQQI", 0x02, 20, len(body), 0, 0)
    target = tmp_path / "bomb.mcap"
    target.write_bytes(body + tail + footer + MAGIC)
    assert "chunk" in one_line(target)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 50_000,
        b"rosbag2_bagfile_information: 3",
        b"rosbag2_bagfile_information: {relative_file_paths: []}",
        b"rosbag2_bagfile_information: {relative_file_paths: [nothing.mcap]}",
        b"!!python/object/apply:os.system ['true']",
        b"x" * 5_000_000,
    ],
)
def test_a_hostile_description_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "metadata.yaml").write_bytes(content)
    one_line(folder)


def test_a_description_does_not_lead_to_other_folders(folder: Path, tmp_path: Path, make_messages, write_bag) -> None:
    write_bag(tmp_path / "other", "other", make_messages(5, seed=9))
    named = "rosbag2_bagfile_information: {relative_file_paths: [../other/other_0.mcap]}"
    (folder / "metadata.yaml").write_text(named)
    assert "bag file missing" in one_line(folder)


def test_no_bag_at_all(tmp_path: Path) -> None:
    assert "no bag here" in one_line(tmp_path)
    assert "no bag here" in one_line(tmp_path / "nowhere")

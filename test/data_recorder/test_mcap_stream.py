"""The lean writer and `mcap`'s own write the same bytes, whatever is written in whatever order."""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, IndexType, Writer

from data_recorder.disk_file import DiskFile
from data_recorder.mcap_stream import McapStream

CHUNK_BYTES = 300
SIZES = st.one_of(st.integers(0, 100), st.sampled_from([299, 300, 301, 5000, 16_383, 16_384, 50_000]))
MESSAGES = st.tuples(st.just("message"), st.integers(0, 2**63 - 1), SIZES, st.integers(0, 2))
OTHERS = st.tuples(st.sampled_from(["topic", "flush", "metadata"]), st.just(0), st.integers(0, 400), st.just(0))


def write(writer: McapStream | Writer, calls: list[tuple[str, int, int, int]]) -> None:
    writer.start(profile="ros2", library="test")
    schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
    channels = [writer.register_channel("/first", "cdr", schema, {"a": "b"})]
    for kind, stamp_ns, size, channel in calls:
        if kind == "message":
            writer.add_message(channels[channel % len(channels)], stamp_ns, bytes([size % 251]) * size, stamp_ns // 2)
        elif kind == "topic":
            schema = writer.register_schema(f"pkg/msg/T{len(channels)}", "ros2msg", b"x" * size)
            channels.append(writer.register_channel(f"/more{len(channels)}", "cdr", schema, {}))
        elif kind == "metadata":
            writer.add_metadata("name", {"key": "v" * size})
        else:
            writer.flush()
    writer.finish()


@settings(deadline=None)
@given(st.lists(st.one_of(MESSAGES, OTHERS), max_size=40))
def test_the_same_calls_give_the_same_bytes(calls: list[tuple[str, int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lean.mcap"
        file = DiskFile(path)
        write(McapStream(file, CHUNK_BYTES), calls)
        file.close()
        lean = path.read_bytes()
    reference = BytesIO()
    given_to_mcap = {"compression": CompressionType.NONE, "index_types": IndexType.ALL}
    write(Writer(reference, chunk_size=CHUNK_BYTES, use_summary_offsets=True, **given_to_mcap), calls)
    assert lean == reference.getvalue()

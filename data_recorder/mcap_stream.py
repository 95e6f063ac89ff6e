"""Writes an uncompressed MCAP file without copying images.

`mcap`'s own writer copies every message five times into new memory; at 83 MB/s of images that alone is a tenth of a
core, most of it for pages that the system must clear. Here a large message stays where it lies until the file takes it;
a small one is copied into the buffer of its chunk, which is kept from chunk to chunk. All that is small is left to
`mcap`'s records. The files are the same to the byte. Source of the layout: the MCAP specification, version 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from isal.isal_zlib import crc32
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from data_recorder.disk_file import DiskFile
from data_recorder.mcap_records import MAGIC

# Of a chunk up to its records: opcode, length; start, end, size, checksum, compression (empty), size of the records.
_CHUNK_HEAD = struct.Struct("<BQQQQIIQ")
_MESSAGE_HEAD = struct.Struct("<BQHIQQ")
_MESSAGE_HEAD_BYTES = _MESSAGE_HEAD.size - 9
_RECORD_HEAD_BYTES = 9
_FOOTER = struct.Struct("<BQQQ")
_FOOTER_BYTES = 20
# Copying less than this costs less than a part of its own.
_LARGE_BYTES = 16_384


class McapStream:
    """One file, from `start` to `finish`; calls as in `mcap.writer.Writer`.

    Args:
        file: Where it goes; not closed here.
        chunk_bytes: Size past which a chunk is written out.
    """

    def __init__(self, file: DiskFile, chunk_bytes: int) -> None:
        self._file, self._chunk_bytes = file, chunk_bytes
        # A chunk is what lies in the buffer, with large messages in between: `_parts` up to `_kept`, then the buffer.
        self._buffer = bytearray(2 * chunk_bytes)
        self._view = memoryview(self._buffer)
        self._parts: list[bytes | memoryview] = []
        self._kept = self._end = self._large_bytes = 0
        self._messages: dict[int, list[tuple[int, int]]] = {}
        self._first_ns = self._last_ns = 0
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._counts: dict[int, int] = {}
        self._extent: tuple[int, int] | None = None
        self._chunks: list[ChunkIndex] = []
        self._metadata: list[MetadataIndex] = []

    def start(self, profile: str, library: str) -> None:
        """Begin the file."""
        self._file.write(MAGIC)
        self._write([Header(profile, library)])

    def register_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Add a message definition; its id."""
        schema = Schema(id=len(self._schemas) + 1, name=name, encoding=encoding, data=data)
        self._schemas.append(schema)
        self._put_record(schema)
        return schema.id

    def register_channel(self, topic: str, message_encoding: str, schema_id: int, metadata: dict[str, str]) -> int:
        """Add a topic; its id."""
        channel = Channel(
            id=len(self._channels) + 1,
            topic=topic,
            message_encoding=message_encoding,
            schema_id=schema_id,
            metadata=metadata,
        )
        self._channels.append(channel)
        self._put_record(channel)
        return channel.id

    def add_message(self, channel_id: int, log_time: int, data: bytes, publish_time: int) -> None:
        """Add a message, stamps in ns."""
        size, place = len(data), self._size
        head = (Opcode.MESSAGE, _MESSAGE_HEAD_BYTES + size, channel_id, 0, log_time, publish_time)
        self._put(_MESSAGE_HEAD.pack(*head))
        if size < _LARGE_BYTES:
            self._put(data)
        else:
            self._parts += self._view[self._kept : self._end], data
            self._kept = self._end
            self._large_bytes += size
        if not self._messages:
            self._first_ns, self._last_ns = log_time, log_time
        else:
            self._first_ns, self._last_ns = min(self._first_ns, log_time), max(self._last_ns, log_time)
        self._messages.setdefault(channel_id, []).append((log_time, place))
        self._counts[channel_id] = self._counts.get(channel_id, 0) + 1
        self._finish_large_chunk()

    def add_metadata(self, name: str, data: dict[str, str]) -> None:
        """Add a metadata record, before the chunk that is being filled."""
        record, offset = Metadata(name=name, metadata=data), self._file.tell()
        length = self._write([record])
        self._metadata.append(MetadataIndex(offset=offset, length=length, name=name))

    def flush(self) -> None:
        """Hand what was added to the system. What is no message waits for one."""
        self._finish_chunk()
        self._file.flush()

    def finish(self) -> None:
        """Write the summary; the file is complete then."""
        self._finish_chunk()
        self._write([DataEnd(0)])
        start = self._file.tell()
        groups: list[tuple[Opcode, Iterable[McapRecord]]] = [
            (Opcode.SCHEMA, self._schemas),
            (Opcode.CHANNEL, self._channels),
            (Opcode.STATISTICS, [self._statistics()]),
            (Opcode.CHUNK_INDEX, self._chunks),
            (Opcode.ATTACHMENT_INDEX, []),
            (Opcode.METADATA_INDEX, self._metadata),
        ]
        summary = RecordBuilder()
        offsets = []
        for opcode, records in groups:
            before = summary.count
            for record in records:
                record.write(summary)
            offsets.append(SummaryOffset(opcode, start + before, summary.count - before))
        offsets_start = start + summary.count
        for offset in offsets:
            offset.write(summary)
        data = summary.end()
        checksum = crc32(_FOOTER.pack(Opcode.FOOTER, _FOOTER_BYTES, start, offsets_start), crc32(data))
        self._file.write(data)
        self._write([Footer(start, offsets_start, checksum)])
        self._file.write(MAGIC)

    def _write(self, records: Iterable[McapRecord]) -> int:
        """Write small records; how many bytes they are."""
        builder = RecordBuilder()
        for record in records:
            record.write(builder)
        data = builder.end()
        self._file.write(data)
        return len(data)

    def _put_record(self, record: McapRecord) -> None:
        """Add what is no message to the chunk."""
        builder = RecordBuilder()
        record.write(builder)
        self._put(builder.end())
        self._finish_large_chunk()

    @property
    def _size(self) -> int:
        """Of the records of the chunk so far, bytes."""
        return self._end + self._large_bytes

    def _put(self, data: bytes) -> None:
        """Copy something into the buffer."""
        end = self._end + len(data)
        if end > len(self._buffer):
            # Parts that lie in the old one keep it.
            larger = bytearray(end + self._chunk_bytes)
            larger[: self._end] = self._view[: self._end]
            self._buffer, self._view = larger, memoryview(larger)
        self._view[self._end : end] = data
        self._end = end

    def _finish_large_chunk(self) -> None:
        if self._size > self._chunk_bytes:
            self._finish_chunk()

    def _finish_chunk(self) -> None:
        """Write the chunk out; one without a message goes on."""
        if not self._messages:
            return
        size, start = self._size, self._file.tell()
        parts = [*self._parts, self._view[self._kept : self._end]]
        checksum = 0
        for part in parts:
            checksum = crc32(part, checksum)
        length = _CHUNK_HEAD.size + size
        extent = self._first_ns, self._last_ns
        head = (Opcode.CHUNK, length - _RECORD_HEAD_BYTES, *extent, size, checksum, 0, size)
        self._file.write(_CHUNK_HEAD.pack(*head), *parts)
        index = ChunkIndex(
            message_start_time=extent[0],
            message_end_time=extent[1],
            chunk_start_offset=start,
            chunk_length=length,
            message_index_offsets={},
            message_index_length=0,
            compression="",
            compressed_size=size,
            uncompressed_size=size,
        )
        indexes_start, builder = self._file.tell(), RecordBuilder()
        for channel_id, places in self._messages.items():
            index.message_index_offsets[channel_id] = indexes_start + builder.count
            MessageIndex(channel_id=channel_id, records=places).write(builder)
        index.message_index_length = builder.count
        self._file.write(builder.end())
        self._chunks.append(index)
        known = self._extent or extent
        self._extent = min(known[0], extent[0]), max(known[1], extent[1])
        self._messages, self._parts = {}, []
        self._kept = self._end = self._large_bytes = 0

    def _statistics(self) -> Statistics:
        first_ns, last_ns = self._extent or (0, 0)
        return Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=len(self._chunks),
            message_count=sum(self._counts.values()),
            message_end_time=last_ns,
            message_start_time=first_ns,
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )

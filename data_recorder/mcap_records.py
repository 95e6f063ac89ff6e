"""Records of an MCAP file; a hostile one can neither crash the reader nor make it take all memory.

Every length is checked against what is there before it is used, and a chunk is inflated only up to the size
that it declares and that is allowed: `zstandard.decompress` ignores its cap when the frame states a size of
its own. Source of the layout: the MCAP specification, version 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import lz4.frame
import zstandard
from isal.isal_zlib import crc32

from learned_arm.errors import LearnedArmError

MAGIC = b"\x89MCAP0\r\n"
LARGEST_RECORD_BYTES = 128 * 1024 * 1024
LARGEST_DEFINITION_BYTES = 1024 * 1024
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MESSAGE_INDEX, STATISTICS, METADATA, DATA_END = 0x07, 0x0B, 0x0C, 0x0F
FOOTER_BYTES = 9 + 20
_LARGEST_ZSTD_WINDOW = 1 << 27
_HEAD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")


@dataclass(frozen=True)
class Schema:
    """A message definition."""

    name: str
    encoding: str
    text: str


@dataclass(frozen=True)
class Channel:
    """A topic of the file: `schema_id` names its definition, `metadata` its offered QoS and type hash."""

    schema_id: int
    topic: str
    encoding: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Message:
    """A message; `data` views the record."""

    channel_id: int
    log_time_ns: int
    publish_time_ns: int
    data: memoryview
    sequence: int = 0


class Fields:
    """Walks through the content of one record."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    def number(self, layout: str) -> int:
        """One little-endian number: H, I or Q."""
        return struct.unpack("<" + layout, self.view(struct.calcsize("<" + layout)))[0]

    def view(self, size: int) -> memoryview:
        """The next bytes."""
        end = self._at + size
        if end > len(self._data):
            raise LearnedArmError("record ends early", got=f"{len(self._data)} bytes", allowed=f"{end} or more")
        found = self._data[self._at : end]
        self._at = end
        return found

    def text(self) -> str:
        """A string with its length."""
        return _decoded(self.view(self.number("I")))

    def pairs(self) -> dict[str, str]:
        """A map of strings with its length in bytes."""
        inner = Fields(self.view(self.number("I")))
        found: dict[str, str] = {}
        while not inner.done:
            key = inner.text()
            found[key] = inner.text()
        return found

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self._at >= len(self._data)


def _decoded(data: memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise LearnedArmError("text is not UTF-8", got=bytes(data[:40])) from error


def read_records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of every record from here to the footer.

    Args:
        file: Positioned at a record.
        size: Bytes from here to the end of the file.

    Raises:
        LearnedArmError: The file ends within a record, or a record is too large.
    """
    left = size
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise LearnedArmError("file ends before its footer", got=f"{len(head)} bytes left")
        opcode, length = _HEAD.unpack(head)
        left -= _HEAD.size
        if length > left:
            raise LearnedArmError("file ends within a record", got=f"{left} bytes left", allowed=f"{length}")
        if length > LARGEST_RECORD_BYTES:
            raise LearnedArmError("record too large", got=length, allowed=f"{LARGEST_RECORD_BYTES} bytes")
        content = file.read(length)
        if len(content) < length:
            raise LearnedArmError("file ends within a record", got=f"{len(content)} bytes", allowed=f"{length}")
        left -= length
        yield opcode, content
        if opcode == FOOTER:
            return


def chunk_records(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Opcode and content of every record within a chunk."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        if at + _HEAD.size > len(view):
            raise LearnedArmError("chunk ends within a record", got=f"{len(view) - at} bytes left")
        opcode, length = _HEAD.unpack_from(view, at)
        at += _HEAD.size
        if length > len(view) - at:
            raise LearnedArmError("chunk ends within a record", got=f"{len(view) - at} bytes left", allowed=length)
        yield opcode, view[at : at + length]
        at += length


def data_records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes | memoryview]]:
    """Every record of the data section, those in a chunk in the chunk's place.

    Args:
        file: Positioned behind the magic bytes.
        size: Bytes from here to the end of the file.
    """
    for opcode, content in read_records(file, size):
        if opcode == DATA_END:
            return
        if opcode == CHUNK:
            yield from chunk_records(chunk_data(content))
        else:
            yield opcode, content
    raise LearnedArmError("data section has no end")


def chunk_compression(content: bytes | memoryview) -> str:
    """How a chunk is compressed, '' when it is not."""
    fields = Fields(content)
    fields.view(28)
    return fields.text()


def chunk_data(content: bytes | memoryview) -> bytes | memoryview:
    """Uncompressed records of a chunk, checked against its size and CRC."""
    fields = Fields(content)
    fields.view(16)
    size, crc, compression = fields.number("Q"), fields.number("I"), fields.text()
    stored = fields.view(fields.number("Q"))
    if size > LARGEST_RECORD_BYTES:
        raise LearnedArmError("chunk too large", got=size, allowed=f"{LARGEST_RECORD_BYTES} bytes")
    data = _inflated(compression, stored, size)
    if len(data) != size:
        raise LearnedArmError("chunk is not of its declared size", got=len(data), allowed=size)
    if crc and crc32(data) != crc:
        raise LearnedArmError("chunk fails its checksum", got=crc32(data), allowed=crc)
    return data


def _inflated(compression: str, stored: memoryview, size: int) -> bytes | memoryview:
    if compression == "":
        return stored
    try:
        if compression == "zstd":
            decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_ZSTD_WINDOW)
            with decompressor.stream_reader(stored) as stream:
                return stream.read(size + 1)
        if compression == "lz4":
            return lz4.frame.LZ4FrameDecompressor().decompress(stored, max_length=size + 1)
    except (zstandard.ZstdError, RuntimeError, EOFError, MemoryError) as error:
        raise LearnedArmError(f"{compression} chunk cannot be read", got=str(error)) from error
    raise LearnedArmError("unknown compression", got=compression, allowed=["", "lz4", "zstd"])


def parse_header(content: bytes | memoryview) -> tuple[str, str]:
    """Profile and library."""
    fields = Fields(_bounded(content))
    return fields.text(), fields.text()


def parse_metadata(content: bytes | memoryview) -> tuple[str, dict[str, str]]:
    """Name and entries of a metadata record."""
    fields = Fields(_bounded(content))
    return fields.text(), fields.pairs()


def _bounded(content: bytes | memoryview) -> bytes | memoryview:
    """What is taken apart into many small objects may not be long: they take much more memory than their bytes."""
    if len(content) > LARGEST_DEFINITION_BYTES:
        raise LearnedArmError(
            "definition too large", got=f"{len(content)} bytes", allowed=f"{LARGEST_DEFINITION_BYTES} bytes"
        )
    return content


def parse_schema(content: bytes | memoryview) -> tuple[int, Schema]:
    """Id and schema."""
    fields = Fields(_bounded(content))
    number, name, encoding = fields.number("H"), fields.text(), fields.text()
    return number, Schema(name, encoding, _decoded(fields.view(fields.number("I"))))


def parse_channel(content: bytes | memoryview) -> tuple[int, Channel]:
    """Id and channel."""
    fields = Fields(_bounded(content))
    number, schema_id = fields.number("H"), fields.number("H")
    return number, Channel(schema_id, fields.text(), fields.text(), fields.pairs())


def parse_message(content: bytes | memoryview) -> Message:
    """A message."""
    view = memoryview(content)
    if len(view) < _MESSAGE.size:
        raise LearnedArmError("message record too short", got=len(view), allowed=f"{_MESSAGE.size} bytes or more")
    channel_id, sequence, log_time_ns, publish_time_ns = _MESSAGE.unpack_from(view)
    if max(log_time_ns, publish_time_ns) >= 2**63:
        raise LearnedArmError("stamp out of range", got=max(log_time_ns, publish_time_ns), allowed="[0, 2**63)")
    return Message(channel_id, log_time_ns, publish_time_ns, view[_MESSAGE.size :], sequence)

"""Reads an MCAP file that was never finished, from the front."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from data_recorder import mcap_records as mcap
from data_recorder.bag_reader import BagMessage, BagTopic, ChannelTable
from learned_arm.errors import LearnedArmError


class Salvage:
    """Messages of an MCAP file up to its first damage, also from within a chunk that was cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.table = ChannelTable()
        self.problem = ""
        self.unread_bytes = 0

    def messages(self) -> Iterator[tuple[BagTopic, BagMessage]]:
        """Whole messages in file order; `problem` and `unread_bytes` are known at the end.

        Raises:
            LearnedArmError: The file does not even begin as MCAP.
        """
        size = self._path.stat().st_size
        with open(self._path, "rb") as file:
            if file.read(len(mcap.MAGIC)) != mcap.MAGIC:
                raise LearnedArmError("not an MCAP file", where=self._path, got=f"{size} bytes")
            whole = file.tell()
            try:
                for opcode, content in mcap.read_records(file, size - whole):
                    if opcode == mcap.DATA_END:
                        return
                    inside = mcap.chunk_data(content) if opcode == mcap.CHUNK else None
                    if inside is None:
                        yield from self._record(opcode, content)
                    else:
                        for inner, data in mcap.chunk_records(inside):
                            yield from self._record(inner, data)
                    whole = file.tell()
            except LearnedArmError as error:
                self.problem = str(error)
            file.seek(whole)
            cut = file.read(min(size - whole, mcap.LARGEST_RECORD_BYTES))
            self.unread_bytes = size - whole
            yield from self._cut_chunk(cut, size - whole)

    def _cut_chunk(self, cut: bytes, left: int) -> Iterator[tuple[BagTopic, BagMessage]]:
        """Whole records of an uncompressed chunk whose end is missing; no checksum can vouch for them."""
        head = 9 + 8 + 8 + 8 + 4 + 4
        if len(cut) < head + 8 or cut[0] != mcap.CHUNK or cut[head - 4 : head] != bytes(4):
            return
        if struct.unpack_from("<Q", cut, 1)[0] + 9 <= left:
            # The chunk is all there and still could not be read: damaged, not cut off.
            return
        view = memoryview(cut)[head + 8 :]
        at = 0
        try:
            for inner, data in mcap.chunk_records(view):
                yield from self._record(inner, data)
                at += 9 + len(data)
                self.unread_bytes = len(view) - at
        except LearnedArmError:
            return

    def _record(self, opcode: int, content: bytes | memoryview) -> Iterator[tuple[BagTopic, BagMessage]]:
        if opcode != mcap.MESSAGE:
            self.table.learn(opcode, content)
            return
        message = mcap.parse_message(content)
        topic = self.table.topic(message.channel_id)
        yield (
            topic,
            BagMessage(topic.name, topic.type, message.log_time_ns, message.publish_time_ns, bytes(message.data)),
        )

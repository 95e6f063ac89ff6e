"""Compresses the bag of a finished episode with zstd: at every moment the old file or the new one is there.

The new file is written beside the old one, made durable, read back and compared, and only then put in its place under
the same name. The description of the bag stays true word for word, since to rosbag2 a compressed chunk is a matter of
the file alone. What identifies an episode, the hash of its messages, does not change.

`python -m data_recorder.compress <episode folder>` does it in a process of its own that takes only time nobody needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mcap.writer import CompressionType, IndexType, Writer

from data_recorder import mcap_records as mcap
from data_recorder.bag_reader import BagReader, OpenedFile, messages_hash
from data_recorder.bag_writer import CHUNK_BYTES, bag_file_name
from data_recorder.disk_file import DiskFile
from learned_arm.canonical import canonical_json
from learned_arm.durable import sync_folder
from learned_arm.episode import EPISODE_FILE, load_episode
from learned_arm.errors import LearnedArmError

PART_FILE = "compressing.part"
_LEAST_URGENT = 19
_WRITTEN_ANEW = (mcap.MESSAGE_INDEX,)


@dataclass(frozen=True)
class Compression:
    """What became of an episode's bag file; sizes in bytes.

    Attributes:
        folder: The episode.
        before_bytes: Its size as it was found.
        after_bytes: Its size now; the same when it was compressed before.
    """

    folder: Path
    before_bytes: int
    after_bytes: int

    def line(self) -> str:
        """The result for people."""
        if self.before_bytes == self.after_bytes:
            return f"{self.after_bytes / 1e6:.1f} MB, compressed before  {self.folder}"
        return f"{self.before_bytes / 1e6:.1f} MB to {self.after_bytes / 1e6:.1f} MB  {self.folder}"


def _writer(file: DiskFile) -> Writer:
    """Writes records as the C++ tools expect them: in chunks, with every index, statistics and checksums."""
    return Writer(
        cast(IO[bytes], file),
        chunk_size=CHUNK_BYTES,
        compression=CompressionType.ZSTD,
        index_types=IndexType.ALL,
        use_statistics=True,
        use_summary_offsets=True,
    )


def episodes_below(folders: Sequence[Path]) -> list[Path]:
    """Folders of all finished episodes in or below these.

    Raises:
        LearnedArmError: There is none.
    """
    found = sorted({each.parent for folder in folders for each in folder.rglob(EPISODE_FILE)})
    if not found:
        got = ", ".join(map(str, folders))
        raise LearnedArmError("no episode found", got=got, allowed=f"folders with {EPISODE_FILE}")
    return found


def compress(folder: str | Path) -> Compression:
    """Compress the bag of one episode; one that is compressed already is left alone.

    Raises:
        LearnedArmError: It is no finished episode, its bag is damaged or not the one that was recorded, somebody else
            compresses it, or there is no room for the second file; then everything is as it was.
    """
    folder = Path(folder)
    episode = load_episode(folder)
    source, part = folder / bag_file_name(episode.name), folder / PART_FILE
    if BagReader(folder).files != [source] or source.is_symlink():
        raise LearnedArmError("not a bag of one file", where=folder, allowed=source.name)
    try:
        with _alone(folder):
            # Left by one that was killed.
            part.unlink(missing_ok=True)
            before = source.stat()
            if _is_compressed(source):
                return Compression(folder, before.st_size, before.st_size)
            try:
                _write_compressed(source, part)
                _verify(source, part, episode.messages_hash)
                os.chmod(part, before.st_mode & 0o777)
                after_bytes = part.stat().st_size
                os.replace(part, source)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            sync_folder(folder)
    except (OSError, struct.error) as error:
        raise LearnedArmError("cannot be compressed", where=folder, got=str(error)) from error
    return Compression(folder, before.st_size, after_bytes)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against another process that would compress it; a killed one holds nothing."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise LearnedArmError("is being compressed by another process", where=folder) from error
    finally:
        os.close(descriptor)


def _is_compressed(path: Path) -> bool:
    """Whether no chunk is as it was recorded; a raw file shows that at once."""
    with OpenedFile(path) as (file, size):
        for opcode, content in mcap.read_records(file, size - len(mcap.MAGIC)):
            if opcode == mcap.DATA_END:
                return True
            if opcode == mcap.CHUNK and mcap.chunk_compression(content) == "":
                return False
        raise LearnedArmError("data section has no end")


def _write_compressed(source: Path, part: Path) -> None:
    """Write every record of a file into another one, in the same order and with compressed chunks."""
    target = DiskFile(part)
    try:
        with OpenedFile(source) as (file, size):
            copy = _Copy(_writer(target))
            for opcode, content in mcap.data_records(file, size - len(mcap.MAGIC)):
                copy.add(opcode, content)
            copy.finish()
        target.close()
    finally:
        target.abandon()


class _Copy:
    """Gives records to a writer, which numbers schemas and channels anew."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._schemas: dict[int, int] = {}
        self._channels: dict[int, int] = {}

    def add(self, opcode: int, content: bytes | memoryview) -> None:
        """Take one record of the data section."""
        if opcode == mcap.MESSAGE:
            message = mcap.parse_message(content)
            channel = self._number(self._channels, message.channel_id, "channel")
            self._writer.add_message(
                channel, message.log_time_ns, bytes(message.data), message.publish_time_ns, message.sequence
            )
        elif opcode == mcap.CHANNEL:
            number, channel = mcap.parse_channel(content)
            if number not in self._channels:
                schema = self._number(self._schemas, channel.schema_id, "schema")
                self._channels[number] = self._writer.register_channel(
                    channel.topic, channel.encoding, schema, channel.metadata
                )
        elif opcode == mcap.SCHEMA:
            number, schema = mcap.parse_schema(content)
            if number not in self._schemas:
                self._schemas[number] = self._writer.register_schema(schema.name, schema.encoding, schema.text.encode())
        elif opcode == mcap.METADATA:
            # The chunk that was begun holds what came before it.
            self._writer.flush()
            self._writer.add_metadata(*mcap.parse_metadata(content))
        elif opcode == mcap.HEADER:
            self._writer.start(*mcap.parse_header(content))
        elif opcode not in _WRITTEN_ANEW:
            raise LearnedArmError("holds a record that would be lost", got=f"opcode {opcode:#04x}")

    def finish(self) -> None:
        """Write indexes and summary."""
        self._writer.finish()

    @staticmethod
    def _number(table: dict[int, int], number: int, kind: str) -> int:
        if number not in table:
            raise LearnedArmError(f"unknown {kind}", got=number, allowed=sorted(table))
        return table[number]


def _verify(source: Path, part: Path, identity: str) -> None:
    """Raise unless the new file, read from the disk, says and holds what the old one does."""
    with open(part, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if BagReader(part).topics != BagReader(source).topics:
        raise LearnedArmError("topics differ after compression", where=source)
    if _metadata(part) != _metadata(source):
        raise LearnedArmError("metadata differ after compression", where=source)
    found = messages_hash(part)
    if found != identity:
        raise LearnedArmError("bag is not the one that was recorded", where=source, got=found, allowed=identity)


def _metadata(path: Path) -> str:
    """Hash of all metadata records in their order."""
    digest = hashlib.sha256()
    with OpenedFile(path) as (file, size):
        for opcode, content in mcap.read_records(file, size - len(mcap.MAGIC)):
            if opcode == mcap.METADATA:
                digest.update(canonical_json(mcap.parse_metadata(content)))
    return digest.hexdigest()


def be_least_urgent() -> None:
    """Leave the processors to whatever else wants them."""
    os.setpriority(os.PRIO_PROCESS, 0, _LEAST_URGENT)


def main(arguments: Sequence[str]) -> int:
    """Compress one episode; a line on success, or one error and status 2."""
    be_least_urgent()
    try:
        if len(arguments) != 1:
            raise LearnedArmError("not one folder", got=list(arguments), allowed="the folder of an episode")
        print(compress(arguments[0]).line())
    except LearnedArmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

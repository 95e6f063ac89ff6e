"""The file that a bag is written to: on the disk by interval, and with spare room so that a full disk can end it.

Power loss takes what is not yet on the disk. A thread of its own asks for that every `sync_s`, since the one that
writes should not wait for it. What is on the disk is then dropped from memory: nobody reads it now, and an hour of
images would push everything else out.

The spare room is a second file without a name, which vanishes with the process. When the disk is full it is given up,
and what is left to write fits: the chunk that was on its way, the bag's summary, and the statements beside it.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from data_recorder.block_file import BlockFile
from learned_arm.errors import LearnedArmError

RESERVE_BYTES = 4_000_000
OUT_OF_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Summaries grow with their bags: about 200 bytes a chunk of 1 MiB.
_BYTES_A_SPARE_BYTE = 2048
_STEP_BYTES = 1_000_000


class DiskFile:
    """A new file, written from the front. Of the stream that `mcap` writes to it has what that calls.

    Args:
        path: Must not exist.
        sync_s: How often what was written is put on the disk, in seconds; None: only when it is closed.
        reserve_bytes: Spare room that is kept free beside it; 0: none.

    Raises:
        OSError: The file exists or cannot be written, or there is no spare room.
    """

    def __init__(self, path: Path, sync_s: float | None = None, reserve_bytes: int = 0) -> None:
        self._blocks = BlockFile(path, self._make_room)
        self._spare_bytes = 0
        self._full: OSError | None = None
        self._failure: OSError | None = None
        self._reserve: Reserve | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            if reserve_bytes:
                self._reserve = Reserve(path.parent, reserve_bytes)
        except OSError:
            self._blocks.close()
            path.unlink()
            raise
        if sync_s is not None:
            self._thread = threading.Thread(target=self._sync_regularly, args=(sync_s,), name="sync", daemon=True)
            self._thread.start()

    @property
    def full(self) -> OSError | None:
        """Why the file should be finished now: the disk is full, and only the spare room is left."""
        return self._full

    def spare(self, more_bytes: int) -> None:
        """Keep more room free for the end; without it the disk is full."""
        if more_bytes > 0:
            self._spare_bytes += more_bytes
            self._grow_reserve()

    def write(self, *parts: bytes | bytearray | memoryview) -> int:
        """Write all of them, one behind the other; on a full disk into the spare room. How many bytes they are.

        The last ones, up to a block, wait for `flush`.

        Raises:
            OSError: They cannot be written, or what was written before could not be put on the disk.
        """
        if self._failure is not None:
            raise self._failure
        begun = self._blocks.position
        for part in parts:
            self._blocks.put(memoryview(part).cast("B"))
        return self._blocks.position - begun

    def tell(self) -> int:
        """Bytes written so far."""
        return self._blocks.position

    def flush(self) -> None:
        """Hand everything to the system, where the end of this process does not lose it.

        Raises:
            OSError: It cannot be written.
        """
        self._blocks.flush()

    def close(self) -> None:
        """Put everything on the disk and close.

        Raises:
            OSError: It could not be put there.
        """
        try:
            if self._failure is not None:
                raise self._failure
            self._blocks.flush()
            os.fsync(self._blocks.descriptor)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is, with as much as can still be written; a closed one stays closed."""
        if self._closing.is_set():
            return
        self._closing.set()
        with suppress(OSError):
            self._blocks.flush()
        if self._thread is not None:
            self._thread.join()
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None
        self._blocks.close()

    def _make_room(self, error: OSError) -> bool:
        """Give up the spare room, once."""
        with self._lock:
            if error.errno not in OUT_OF_ROOM or self._reserve is None:
                return False
            self._reserve.close()
            self._reserve, self._full = None, error
            return True

    def _sync_regularly(self, sync_s: float) -> None:
        while not self._closing.wait(sync_s):
            written, descriptor = self._blocks.position, self._blocks.descriptor
            try:
                os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, written, os.POSIX_FADV_DONTNEED)
            except OSError as error:
                self._failure = error
                return
            self._grow_reserve()

    def _grow_reserve(self) -> None:
        with self._lock:
            if self._reserve is not None and self._full is None:
                self._full = self._reserve.grow(self._blocks.position // _BYTES_A_SPARE_BYTE + self._spare_bytes)


class Reserve:
    """Room on the disk that is taken, and holds nothing."""

    def __init__(self, folder: Path, size: int) -> None:
        self._base = self._size = size
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until close()
        try:
            os.posix_fallocate(self._file.fileno(), 0, size)
        except OSError:
            self._file.close()
            raise

    def grow(self, by: int) -> OSError | None:
        """Take room beyond what it began with; the error when there is none."""
        wanted = self._base + by
        if wanted - self._size < _STEP_BYTES:
            return None
        try:
            os.posix_fallocate(self._file.fileno(), 0, wanted)
        except OSError as error:
            return error
        self._size = wanted
        return None

    def close(self) -> None:
        """Give the room back."""
        self._file.close()


def require_room(folder: Path) -> None:
    """Raise unless an episode can be begun below a folder: twice the spare room is there. Nothing is left behind.

    Raises:
        LearnedArmError: The disk is full, or cannot be written.
    """
    existing = next(each for each in (folder, *folder.parents) if each.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            os.posix_fallocate(file.fileno(), 0, 2 * RESERVE_BYTES)
    except OSError as error:
        needed = f"{2 * RESERVE_BYTES // 1_000_000} MB free"
        raise LearnedArmError("no room to record", where=folder, got=error.strerror, allowed=needed) from error

"""The file below a bag: all parts in their order, and no memory for what is on the disk."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from data_recorder.disk_file import DiskFile

PAGE_BYTES, PATIENCE_S = 4096, 20.0


def kept_in_memory(path: Path) -> bool:
    """Whether the first page of a file can be read without the disk."""
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(PAGE_BYTES)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                pytest.skip("this file system cannot say what it keeps in memory")
            raise
    return True


def test_parts_are_written_in_their_order_however_many_there_are(tmp_path: Path) -> None:
    parts = [bytes([number % 251]) * (number % 7) for number in range(5000)]
    file = DiskFile(tmp_path / "bag")
    assert file.write(*parts) == len(b"".join(parts)) == file.tell()
    file.close()
    assert (tmp_path / "bag").read_bytes() == b"".join(parts)


def test_what_is_on_the_disk_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    file = DiskFile(path, sync_s=0.05)
    file.write(bytes(4_000_000))
    deadline_s = time.monotonic() + PATIENCE_S
    while kept_in_memory(path) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not kept_in_memory(path)
    file.write(b"more")
    file.close()
    assert path.read_bytes() == bytes(4_000_000) + b"more"

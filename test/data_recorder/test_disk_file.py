"""The file below a bag: all parts in their order, by whole blocks, and no memory for what is on the disk."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recorder.block_file import BLOCK_BYTES, BlockFile
from data_recorder.disk_file import DiskFile

PAGE_BYTES, PATIENCE_S = 4096, 20.0


def no_room(_error: OSError) -> bool:
    return False


def pattern(size: int) -> memoryview:
    """Bytes that are the same nowhere in a block."""
    return memoryview(np.arange(size // 4 + 1, dtype=np.uint32).tobytes())[:size]


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


@given(st.lists(st.tuples(st.integers(0, 3 * BLOCK_BYTES // 2), st.booleans()), max_size=8), st.booleans())
def test_a_file_holds_what_was_put_into_it(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, bool]], direct: bool
) -> None:
    """However it is cut, flushed in between or not, and also where nothing goes past the page cache."""
    path = tmp_path_factory.mktemp("blocks") / "file"
    file, whole = BlockFile(path, no_room), pattern(8 * 3 * BLOCK_BYTES // 2)
    if not direct:
        file.write_through_pages()
    for size, flushed in puts:
        file.put(whole[file.position : file.position + size])
        if flushed:
            file.flush()
            assert path.stat().st_size == file.position
    file.flush()
    file.close()
    assert path.read_bytes() == whole[: sum(size for size, _ in puts)]
    path.unlink()


def test_whole_blocks_never_come_into_memory(tmp_path: Path) -> None:
    file = BlockFile(tmp_path / "file", no_room)
    if not file.is_direct:
        pytest.skip("this file system writes nothing past its page cache")
    file.put(pattern(2 * BLOCK_BYTES + 1))
    assert not kept_in_memory(tmp_path / "file")
    file.close()


def test_what_could_not_be_written_is_written_once_there_is_room(tmp_path: Path) -> None:
    """Here room is a limit of the process on the size of its files, which lies amid a sector."""
    asked = list[int]()

    def make_room(error: OSError) -> bool:
        asked.append(error.errno or 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        return True

    former, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file, whole = BlockFile(tmp_path / "file", make_room), pattern(3 * BLOCK_BYTES + 5)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK_BYTES + 1000, former[1]))
        file.put(whole)
        file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, ignored)
        file.close()
    assert asked == [errno.EFBIG]
    assert (tmp_path / "file").read_bytes() == whole


def test_what_is_on_the_disk_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    file = DiskFile(path, sync_s=0.05)
    file.write(bytes(4_000_000))
    deadline_s = time.monotonic() + PATIENCE_S
    # Asked once a time: to ask makes the system read ahead.
    while (kept := kept_in_memory(path)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not kept
    file.write(b"more")
    file.close()
    assert path.read_bytes() == bytes(4_000_000) + b"more"

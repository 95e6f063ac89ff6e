"""What a process holds, told from what it keeps free for later: on a word it gives the latter back to the system.

glibc keeps freed memory, and what is kept depends on the order in which pictures came and went. After `malloc_trim` the
resident memory is what the process needs, whole pages of it.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import threading
import time
from pathlib import Path

HELD_VARIABLE = "LEARNED_ARM_FAULTS_HELD"
"""Names the file with how often the word was given, int64."""
_COUNT = struct.Struct("<q")
_LOOK_S = 0.1


class Word:
    """The word, in a file that the processes of a rig share.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_COUNT.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _COUNT.size)

    @property
    def count(self) -> int:
        """How often it was given."""
        return _COUNT.unpack_from(self._memory)[0]

    def give(self) -> None:
        """Everybody shall give back what is free; it is done a moment later."""
        _COUNT.pack_into(self._memory, 0, self.count + 1)


def obey(word: Word) -> None:
    """From now on this process does as it is told, on a thread of its own."""
    threading.Thread(target=_watch, args=(word,), name="held", daemon=True).start()


def _watch(word: Word) -> None:
    libc, seen = ctypes.CDLL(None), word.count
    while True:
        time.sleep(_LOOK_S)
        if word.count != seen:
            seen = word.count
            libc.malloc_trim(0)

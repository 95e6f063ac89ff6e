"""What a process holds, told from what it keeps free for later: on a word it says the one and gives back the other.

glibc keeps freed memory, and what is kept depends on the order in which pictures came and went. Even after
`malloc_trim` what is free between two blocks in use stays resident. What is in use leaves that out. glibc sees all that
Python allocates where `EXACT` is in the environment; without it Python's small blocks are left out.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from pathlib import Path

from benchmarks.faults.shared import SharedNumber

HELD_VARIABLE = "LEARNED_ARM_FAULTS_HELD"
"""Names the file with how often the word was given, int64; beside it each process says what it holds."""
EXACT = {"PYTHONMALLOC": "malloc"}
"""Environment in which Python takes its small blocks from glibc too."""
_LOOK_S = 0.1
_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Info(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33."""

    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


_LIBC = ctypes.CDLL(None)
_LIBC.mallinfo2.restype = _Info


def held_file(word: Path, pid: int) -> Path:
    """Where a process says how many bytes it holds."""
    return word.with_name(f"{word.name}_{pid}")


def in_use_bytes() -> int:
    """What this process has allocated and not freed."""
    told = _LIBC.mallinfo2()
    return told.uordblks + told.hblkhd


def obey(path: Path) -> None:
    """From now on this process does as it is told in a file, on a thread of its own."""
    told = SharedNumber(held_file(path, os.getpid()))
    threading.Thread(target=_watch, args=(SharedNumber(path), told), name="held", daemon=True).start()


def _watch(word: SharedNumber, told: SharedNumber) -> None:
    seen = word.value
    while True:
        time.sleep(_LOOK_S)
        if word.value != seen:
            seen = word.value
            # Garbage that waits for a collection is no growth; that failures leave none is tested with the loop.
            gc.collect()
            told.add(in_use_bytes() - told.value)
            _LIBC.malloc_trim(0)

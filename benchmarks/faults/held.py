"""What a process holds, told from what it keeps free for later: on a word it gives the latter back to the system.

glibc keeps freed memory, and what is kept depends on the order in which pictures came and went. After `malloc_trim` the
resident memory is what the process needs, whole pages of it.
"""

from __future__ import annotations

import ctypes
import threading
import time

from benchmarks.faults.shared import SharedNumber

HELD_VARIABLE = "LEARNED_ARM_FAULTS_HELD"
"""Names the file with how often the word was given, int64."""
_LOOK_S = 0.1


def obey(word: SharedNumber) -> None:
    """From now on this process does as it is told, on a thread of its own."""
    threading.Thread(target=_watch, args=(word,), name="held", daemon=True).start()


def _watch(word: SharedNumber) -> None:
    libc, seen = ctypes.CDLL(None), word.value
    while True:
        time.sleep(_LOOK_S)
        if word.value != seen:
            seen = word.value
            libc.malloc_trim(0)

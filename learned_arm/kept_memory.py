"""Keeps the memory that images were in for the next ones."""

from __future__ import annotations

import ctypes

# From malloc.h: the first may be half of what an arena holds, the other is a whole one.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT_BYTES, _KEPT_BYTES = 32 * 1024 * 1024, 64 * 1024 * 1024


def keep_freed_memory() -> None:
    """Tell glibc, where it is the C library, not to give freed memory back to the system at once.

    The next image would find pages that must be cleared and mapped first, which takes several times as long as copying
    it. On a virtual machine it was also seen to hold up whatever else runs there, for up to 100 ms: enough to stop an
    arm. For processes that take or make images all the time; others would only keep
    what nobody uses again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)

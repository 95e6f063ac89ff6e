"""A number that all processes of a rig read, in one file in memory."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_NUMBER = struct.Struct("<q")


class SharedNumber:
    """An int64, 0 at first.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_NUMBER.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBER.size)

    @property
    def value(self) -> int:
        """What it is now."""
        return _NUMBER.unpack_from(self._memory)[0]

    def add(self, change: int) -> None:
        """Make it another one, for all."""
        _NUMBER.pack_into(self._memory, 0, self.value + change)

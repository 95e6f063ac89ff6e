"""What all processes of a rig read, in one file in memory: a number, and the last words of one that may be killed."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_NUMBER, _LENGTH = struct.Struct("<q"), struct.Struct("<I")
_LONGEST_WORDS_BYTES = 4096


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


class LastWords:
    """A message that is put here before it is published: whoever is killed as it publishes may reach one and not all.

    Args:
        path: The file; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        size = _LENGTH.size + _LONGEST_WORDS_BYTES
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)

    @property
    def raw(self) -> bytes:
        """The last of them, empty before the first."""
        (length,) = _LENGTH.unpack_from(self._memory)
        return self._memory[_LENGTH.size : _LENGTH.size + length]

    def put(self, raw: bytes) -> None:
        """Replace them."""
        self._memory[: _LENGTH.size + len(raw)] = _LENGTH.pack(len(raw)) + raw

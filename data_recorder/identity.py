"""The identity of an episode: a hash of its messages, blind to file layout, order on disk and compression."""

from __future__ import annotations

import struct
from typing import Any

import blake3
import numpy as np

_STAMPS = struct.Struct("<qqQ")


class MessagesHash:
    """Collects messages; the digest depends on which messages there are, not on their order.

    Each message is hashed with its topic, type, stamps and payload; the identity is the hash of the sorted digests. A
    rewritten, split, compressed or re-sorted bag keeps it; any changed, missing or added message does not. The hash is
    BLAKE3, 256 bits: at 83 MB/s of images SHA-256 takes 5 to 8 % of a core, BLAKE3 2 %.
    """

    def __init__(self) -> None:
        self._prefixes: dict[tuple[str, str], Any] = {}
        self._digests = bytearray()

    def add(self, topic: str, message_type: str, log_time_ns: int, publish_time_ns: int, data: bytes) -> None:
        """Add one message with its raw bytes."""
        prefix = self._prefixes.get((topic, message_type))
        if prefix is None:
            names = (topic.encode(), message_type.encode())
            prefix = blake3.blake3(b"".join(struct.pack("<I", len(name)) + name for name in names))
            self._prefixes[topic, message_type] = prefix
        digest = prefix.copy()
        digest.update(_STAMPS.pack(log_time_ns, publish_time_ns, len(data)))
        digest.update(data)
        self._digests += digest.digest()

    def hexdigest(self) -> str:
        """Identity of what was added so far, 64 hex digits."""
        # Long bags have many: they are sorted as four numbers each, in little more than their 32 bytes.
        words = np.frombuffer(bytes(self._digests), dtype=">u8").reshape(-1, 4)
        return blake3.blake3(words[np.lexsort(words.T[::-1])].tobytes()).hexdigest()

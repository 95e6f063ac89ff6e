"""The snapshots that travel in a bag, read back: the first tells of the start, the last of several of the end."""

from __future__ import annotations

import json
from typing import Any

from learned_arm.canonical import canonical_json

_LARGEST_BYTES = 16_000_000


class ProvenanceMessages:
    """Takes the messages of `/recorder_node/provenance` in the order of the bag, wherever in it they come."""

    def __init__(self) -> None:
        self._first: Any = None
        self._last: Any = None

    def add(self, data: bytes) -> None:
        """Look at one message; one that cannot be read is passed over, and stays in the bag."""
        snapshot = _snapshot(data)
        if snapshot is None:
            return
        if self._first is None:
            self._first = snapshot
        else:
            self._last = snapshot

    def statement(self, unreachable: str) -> bytes:
        """What lies beside the bag, as canonical JSON: `start` and, where there is one, `end`.

        Args:
            unreachable: Why there is no snapshot, when there is none.
        """
        if self._first is None:
            return canonical_json({"unreachable": unreachable})
        return canonical_json({"start": self._first} | ({} if self._last is None else {"end": self._last}))


def _snapshot(data: bytes) -> Any:
    """The snapshot in a std_msgs/msg/String of `{"<moment>": {...}}`, None where it is something else."""
    if len(data) > _LARGEST_BYTES:
        return None
    try:
        value = json.loads(data[8:-1])
        canonical_json(value)
    except (ValueError, RecursionError):
        return None
    found = list(value.values()) if isinstance(value, dict) else []
    return found[0] if len(found) == 1 and isinstance(found[0], dict) else None

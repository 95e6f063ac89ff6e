"""Stand-in until the real one is merged."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rclpy.node import Node

from learned_arm.contract import Contract
from learned_arm.provenance import snapshot
from learned_arm.ros import introspection


class Capture:
    """Stand-in."""

    def __init__(self, node: Node, contract: Contract) -> None:
        self._node = node
        self._pool = ThreadPoolExecutor(1)
        self._static: Future[dict[str, Any]] = self._pool.submit(snapshot, contract)

    def begin(self, done: Callable[[dict[str, Any]], object]) -> None:
        """Capture."""
        done({**self._static.result(10), "stamp_ns": time.time_ns(), "graph": introspection.graph(self._node)})

    def close(self) -> None:
        """End."""
        self._pool.shutdown()

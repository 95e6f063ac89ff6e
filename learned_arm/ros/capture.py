"""One look at everything that runs: graph, parameters, controllers, robot description, frames, cameras, joint names.

Nothing here waits. Questions go out at once to all nodes; a timer looks for the answers, and what has none by the
deadline is named with the reason. Reading and hashing is done on threads of its own.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from learned_arm.contract import Contract
from learned_arm.provenance import SNAPSHOT_VERSION, snapshot
from learned_arm.ros import introspection, looks
from learned_arm.ros.inquiry import Inquiry
from learned_arm.ros.questions import Questions
from learned_arm.software import LoadedLibraries, prefixes

TIMEOUT_S = 1.5
_LOOK_S = 0.02
_LATE = {"unreachable": "not ready in time"}
_STATIC = ("git", "workspaces", "middleware", "system")

Done = Callable[[dict[str, Any]], None]


class Capture:
    """Takes snapshots in the executor of a node.

    The services that it asks keep their clients from one snapshot to the next; the executor waits for them during a
    snapshot only. Subscriptions end with it.

    Args:
        node: Whose executor works; its own parameters are told without asking.
        contract: The contract in force: it names cameras and joint states.
        timeout_s: When asking ends, complete or not.
    """

    def __init__(self, node: Node, contract: Contract, *, timeout_s: float = TIMEOUT_S) -> None:
        self._node, self._contract, self._timeout_s = node, contract, timeout_s
        # One is busy with the static part for a while at the start.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="capture")
        self._static: Future[dict[str, Any]] = self._pool.submit(snapshot, contract)
        self._libraries = LoadedLibraries()
        self._questions = Questions(node)
        self._waiting: list[Done] = []
        self._running: _Round | None = None
        self._timer = node.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()

    def begin(self, done: Done) -> None:
        """Take a snapshot and call `done(snapshot)` once from the executor, at most `timeout_s` and a moment later.

        Call it from the executor. A snapshot that is being taken is finished first, and this one begins then: none
        tells of a time before it was asked for.
        """
        self._waiting.append(done)
        if self._running is None:
            self._start()

    @property
    def is_ready(self) -> bool:
        """Whether the part that is taken only once is there; until then snapshots may lack it."""
        return self._static.done()

    def close(self) -> None:
        """End; a snapshot that is being taken is not told any more."""
        self._waiting.clear()
        if self._running is not None:
            self._running.end()
            self._running = None
        self._node.destroy_timer(self._timer)
        self._questions.keep(set())
        self._pool.shutdown(cancel_futures=True)

    def _start(self) -> None:
        began_s = time.monotonic()
        serving, self._waiting = self._waiting, []
        graph = self._pool.submit(_look_around, self._node)
        self._running = _Round(serving, began_s, graph)
        self._timer.reset()
        self._running.busy_s += time.monotonic() - began_s

    def _look(self) -> None:
        running, now_s = self._running, time.monotonic()
        if running is None:
            self._timer.cancel()
            return
        late = now_s > running.began_s + self._timeout_s
        if running.result is None:
            self._ask(running, late)
        running.busy_s += time.monotonic() - now_s
        if running.result is not None and running.result.done():
            self._running = None
            self._timer.cancel()
            error = running.result.exception()
            found = running.result.result() if error is None else self._failed(error)
            for done in running.serving:
                done(copy.deepcopy(found) if len(running.serving) > 1 else found)
            if self._waiting and self._running is None:
                self._start()

    def _ask(self, running: _Round, late: bool) -> None:
        if running.inquiry is None and running.graph.done():
            if running.graph.exception() is not None:
                running.result = running.graph
                return
            graph, services = running.graph.result()
            running.looks, running.missing = looks.begin(self._node, self._contract, graph)
            running.inquiry = Inquiry(self._node, self._questions, graph["nodes"], services)
        settled = running.look() and self._static.done()
        if settled or (late and running.inquiry is not None):
            told = running.end()
            seen = {topic: each.messages for topic, each in running.looks.items()}
            running.result = self._pool.submit(self._assemble, running, told, seen)

    def _failed(self, error: BaseException) -> dict[str, Any]:
        """A snapshot that only says why there is none: nobody's recording ends because of it."""
        text = f"{type(error).__name__}: {error}"
        self._node.get_logger().error(f"no snapshot: {text}")
        return {**self._bare(), "stamp_ns": time.time_ns(), "unreachable": text}

    def _bare(self) -> dict[str, Any]:
        contract = {"contract": self._contract.hash, "contract_content": self._contract.canonical()}
        return {"version": SNAPSHOT_VERSION, **contract}

    def _assemble(self, running: _Round, told: dict[str, Any], seen: dict[str, list[bytes]]) -> dict[str, Any]:
        """On a thread: the whole snapshot as plain data."""
        if self._static.done():
            found = copy.deepcopy(self._static.result())
        else:
            found = {**self._bare(), "software": {}, **dict.fromkeys(_STATIC, _LATE)}
        graph, _ = running.graph.result()
        found |= {"stamp_ns": time.time_ns(), "graph": graph, **told}
        found |= looks.read(self._contract, seen, running.missing)
        found["software"]["controller_libraries"] = self._libraries.hashes(prefixes(os.environ))
        took_s = time.monotonic() - running.began_s
        found["capture"] = {"took_ms": round(1e3 * took_s, 1), "executor_ms": round(1e3 * running.busy_s, 1)}
        return found


class _Round:
    """One snapshot while it is taken."""

    def __init__(self, serving: list[Done], began_s: float, graph: Future[Any]) -> None:
        self.serving, self.began_s, self.graph = serving, began_s, graph
        self.busy_s = 0.0
        self.looks: dict[str, looks.Look] = {}
        self.missing: dict[str, str] = {}
        self.inquiry: Inquiry | None = None
        self.result: Future[Any] | None = None

    def look(self) -> bool:
        """Take what has come; whether that is everything."""
        if self.inquiry is None:
            return False
        seen = [each.look() for each in self.looks.values()]
        return self.inquiry.look() and all(seen)

    def end(self) -> dict[str, Any]:
        """Stop asking; what was told by then."""
        for each in self.looks.values():
            each.close()
        return self.inquiry.end() if self.inquiry is not None else {}


def _look_around(node: Node) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """On a thread: the graph, and all services with their types."""
    return introspection.graph(node), {name: list(types) for name, types in node.get_service_names_and_types()}

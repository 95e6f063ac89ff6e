"""Control ticks of a simulation that waits for each of them: a tick is stepped once all that it needs is there.

Needed are the joint states of the tick from every topic and, where the contract's grid has a tick too, the targets that
the lease's holder stamped with it. Whoever brings the last of them steps it, one at a time: nothing depends on which
message came first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from learned_arm.cdr import TrajectoryView
from learned_arm.commander import Command, Commander

_PATIENCE_NS = 5_000_000_000


class LockStep:
    """The tick that is awaited, and what came for it.

    Args:
        commander: The door.
        period_ns: Of the contract, a multiple of the control period.
        topics: Where joint states come from.
        take: Hands targets of a source to the door at a tick.
        publish: Called with what a tick gave.
        monotonic_ns: Says the time on the wall, for patience and the deadman.

    Attributes:
        turn: Held while anything happens to the door.
    """

    def __init__(
        self,
        commander: Commander,
        period_ns: int,
        topics: Iterable[str],
        take: Callable[[str, TrajectoryView, int], None],
        publish: Callable[[Command], None],
        *,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self.turn = threading.RLock()
        self._commander, self._period_ns = commander, period_ns
        self._stamps_ns: dict[str, int | None] = dict.fromkeys(topics)
        self._take, self._publish, self._monotonic_ns = take, publish, monotonic_ns
        self._pending_ns: int | None = None
        self._pending_since_ns = 0
        self._last_stepped_ns = 0
        self._waiting: dict[str, TrajectoryView] = {}

    @property
    def now_ns(self) -> int:
        """The tick that is being decided, else the last one."""
        return self._pending_ns if self._pending_ns is not None else self._last_stepped_ns

    @property
    def next_tick_ns(self) -> int:
        """The tick of the contract's grid that is awaited next."""
        earliest_ns = self._pending_ns if self._pending_ns is not None else self._last_stepped_ns + 1
        return -(-earliest_ns // self._period_ns) * self._period_ns

    def on_joints(self, topic: str, stamp_ns: int) -> None:
        """A topic's joint states of a tick were measured."""
        with self.turn:
            self._stamps_ns[topic] = stamp_ns
            if set(self._stamps_ns.values()) == {stamp_ns}:
                self._pending_ns, self._pending_since_ns = stamp_ns, self._monotonic_ns()
                self.step_when_ready()

    def on_targets(self, source: str, view: TrajectoryView) -> None:
        """Targets came: they are taken at their tick and at no other."""
        with self.turn:
            self._waiting[source] = view
            self.step_when_ready()

    def on_engaged(self, source: str) -> None:
        """A new holder: what it sent before does not count, and it is waited for from now on."""
        self._waiting.pop(source, None)
        self._pending_since_ns = self._monotonic_ns()

    def step_when_ready(self) -> None:
        """Step the pending tick if the holder's targets for it are in, or it kept us waiting too long."""
        with self.turn:
            if self._pending_ns is not None:
                self._step_if_complete(self._pending_ns)

    def _step_if_complete(self, tick_ns: int) -> None:
        self._commander.check_deadman(self._monotonic_ns())
        holder = self._commander.holder
        if holder is not None and tick_ns % self._period_ns == 0:
            view = self._waiting.get(holder)
            if view is not None and view.stamp_ns == tick_ns:
                self._take(holder, view, tick_ns)
            elif self._monotonic_ns() - self._pending_since_ns < _PATIENCE_NS:
                return
            else:
                self._commander.stop(f"{holder} sent no targets for tick {tick_ns} within {_PATIENCE_NS / 1e9:g} s")
        self._pending_ns, self._last_stepped_ns = None, tick_ns
        self._publish(self._commander.step(tick_ns))

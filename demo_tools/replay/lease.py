"""The lease of a replay: asked for, held, and given back however the replay ends."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from learned_arm.ros.door import DoorClient
from learned_arm.timeline import Timeline

Guard = Callable[[Callable[[], None]], None]


class Lease:
    """Of one door, for one replay after the other.

    Args:
        door: Who gives it.
        guard: Runs what an answer brings about under the owner's lock.
        logger: Where a lease that does not go back is told.
    """

    def __init__(self, door: DoorClient, guard: Guard, logger: RcutilsLogger) -> None:
        self._door, self._guard, self._logger = door, guard, logger
        self._held = self._asking = self._wanted = False
        # An answer to an earlier attempt is of a replay that is over.
        self._attempt = 0

    @property
    def held(self) -> bool:
        """Whether the door listens to us."""
        return self._held

    @property
    def under_way(self) -> bool:
        """Whether it is ours, or may still come."""
        return self._held or self._asking

    @property
    def first_tick_ns(self) -> int:
        """The first tick that the door waits for, in lock-step."""
        return self._door.first_tick_ns

    def ask(self, answered: Callable[[bool, str], None]) -> None:
        """Ask for it; `answered` hears whether it was given and why, unless it has been given back meanwhile."""
        attempt = self._attempt

        def take(accepted: bool, message: str) -> None:
            if attempt != self._attempt:
                if accepted:
                    self._door.release(lambda _accepted, _message: None)
                return
            self._asking, self._held = False, accepted
            if self._wanted:
                answered(accepted, message)
            else:
                self.give_back()

        self._asking = self._wanted = True
        self._door.engage(lambda accepted, message: self._guard(lambda: take(accepted, message)))

    def give_back(self) -> None:
        """Give it back, now or as soon as it comes."""
        self._wanted = False
        attempt = self._attempt

        def take(accepted: bool, message: str) -> None:
            if attempt == self._attempt:
                self._held = False
            if not accepted:
                self._logger.error(f"lease not given back: {message}")

        if self._held:
            self._door.release(lambda accepted, message: self._guard(lambda: take(accepted, message)))

    def send(self, now_ns: int, timeline: Timeline | None) -> None:
        """Say what comes next; None: stop and hold. Nothing is said without the lease."""
        if self._held:
            self._door.send(now_ns, timeline)

    def forget(self) -> None:
        """The door does not answer: what it still says is of a replay that is over."""
        self._attempt += 1
        self._held = self._asking = False

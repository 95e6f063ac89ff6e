"""Sees ROS time jump: it must run as monotonic time does, and stamps must follow it and each other."""

from __future__ import annotations

from learned_arm.errors import LearnedArmError

# NTP slews by half a millisecond a second; what is further off within a control tick was set, not slewed.
LARGEST_JUMP_NS = 50_000_000
# Clocks of two machines in one network agree within milliseconds.
LARGEST_FUTURE_NS = 100_000_000


class TimeFaultError(LearnedArmError):
    """Time itself cannot be trusted: whoever moves the arm is disarmed."""


class ClockWatch:
    """Compares the steps of ROS time with those of monotonic time."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def see(self, now_ns: int, monotonic_ns: int) -> None:
        """Take both clocks, read at once.

        Raises:
            TimeFaultError: ROS time has jumped since the last call. The next call starts from the new time.
        """
        last, self._last = self._last, (now_ns, monotonic_ns)
        if last is None:
            return
        jump_ns = (now_ns - last[0]) - (monotonic_ns - last[1])
        if abs(jump_ns) > LARGEST_JUMP_NS:
            raise TimeFaultError(
                "the clock jumped", got=f"{jump_ns / 1e9:+.3f} s", allowed=f"{LARGEST_JUMP_NS / 1e6:.0f} ms"
            )


class StampWatch:
    """Checks the stamps of one stream of measurements.

    Args:
        where: The stream's name, for errors.
        max_age_s: A measurement stamped earlier than this before now is stale on arrival; infinite: none is.
        disorder_s: How far before the newest stamp one may lie: frames that overtook each other on the way.
    """

    def __init__(self, where: str, max_age_s: float, disorder_s: float = 0.0) -> None:
        self._where = where
        self._oldest_ns = max_age_s * 1e9 + LARGEST_FUTURE_NS
        self._disorder_ns = round(disorder_s * 1e9)
        self._last_ns: int | None = None

    def see(self, stamp_ns: int, now_ns: int) -> None:
        """Take a stamp.

        Raises:
            TimeFaultError: It lies in the future, or before the one of the last message, which it then replaces.
            LearnedArmError: It is stale; no fault of time, the message is only of no use.
        """
        last_ns = self._last_ns
        back_ns = 0 if last_ns is None else last_ns - stamp_ns
        self._last_ns = last_ns if last_ns is not None and 0 < back_ns <= self._disorder_ns else stamp_ns
        ahead_ns = stamp_ns - now_ns
        if ahead_ns > LARGEST_FUTURE_NS:
            # Kept out of the order, so that the first good stamp after it is not taken for a step backward.
            self._last_ns = last_ns
            ahead, allowed = f"{ahead_ns / 1e9:+.3f} s", f"at most {LARGEST_FUTURE_NS / 1e9:g} s ahead"
            raise TimeFaultError("stamped in the future", where=self._where, got=ahead, allowed=allowed)
        if back_ns > self._disorder_ns:
            back = f"{-back_ns / 1e9:+.3f} s"
            raise TimeFaultError("stamps run backward", where=self._where, got=back, allowed="increasing stamps")
        if -ahead_ns > self._oldest_ns:
            allowed = f"at most {self._oldest_ns / 1e9:g} s old"
            raise LearnedArmError(
                "stale on arrival", where=self._where, got=f"{-ahead_ns / 1e9:.3f} s old", allowed=allowed
            )

"""Rate, age, gaps and losses of a stream, counted message by message; live and offline alike.

The publication sequence number of a message counts what its publisher sent on the topic. With one publisher,
the numbers missing between the first and the last received message are exactly what was lost on the way,
whoever lost it: the transport, a full queue or a slow callback.
"""

from __future__ import annotations

from dataclasses import dataclass

# rmw's way to say that a middleware has no sequence numbers (RMW_MESSAGE_INFO_SEQUENCE_NUMBER_UNSUPPORTED).
SEQUENCE_UNSUPPORTED = 2**64 - 1


@dataclass(frozen=True)
class StreamStatistics:
    """What a stream looked like.

    Attributes:
        messages: Messages counted.
        lost: Messages missing between the first and the last; None when they cannot be counted (more than one
            publisher, a publisher that started again, no sequence numbers).
        first_ns: Receive stamp of the first message, None before it.
        last_ns: Receive stamp of the last message, None before the first.
        largest_gap_ns: Longest time between two messages.
        largest_delay_ns: Longest time from source stamp to receive stamp.
    """

    messages: int
    lost: int | None
    first_ns: int | None
    last_ns: int | None
    largest_gap_ns: int
    largest_delay_ns: int

    @property
    def mean_rate_hz(self) -> float:
        """Messages a second between the first and the last; 0 below two messages."""
        if self.first_ns is None or self.last_ns is None or self.last_ns <= self.first_ns:
            return 0.0
        return (self.messages - 1) * 1e9 / (self.last_ns - self.first_ns)

    def age_ns(self, now_ns: int) -> int | None:
        """Time since the last message, None before the first."""
        return None if self.last_ns is None else now_ns - self.last_ns


class StreamCounter:
    """Counts one topic."""

    def __init__(self) -> None:
        self._messages = 0
        self._missing = 0
        self._countable = True
        self._last_sequence: int | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._largest_gap_ns = 0
        self._largest_delay_ns = 0

    def add(self, sequence: int | None, source_ns: int, received_ns: int) -> None:
        """Count a message.

        Args:
            sequence: Publication sequence number, None where there is none.
            source_ns: When it was published, system time.
            received_ns: When it was received, system time.
        """
        self._messages += 1
        if sequence is None or sequence == SEQUENCE_UNSUPPORTED:
            self._countable = False
        else:
            if self._last_sequence is not None:
                step = sequence - self._last_sequence
                if step > 0:
                    self._missing += step - 1
                else:
                    # Numbers of one publisher only grow: here is a second one, or the first one started
                    # again.
                    self._countable = False
            self._last_sequence = sequence
        if self._first_ns is None:
            self._first_ns = received_ns
        elif received_ns - self._last_ns > self._largest_gap_ns:
            self._largest_gap_ns = received_ns - self._last_ns
        self._last_ns = received_ns
        if received_ns - source_ns > self._largest_delay_ns:
            self._largest_delay_ns = received_ns - source_ns

    def statistics(self, publishers: int = 1) -> StreamStatistics:
        """What was counted so far.

        Args:
            publishers: The most publishers that the topic had; above one, losses cannot be counted.
        """
        return StreamStatistics(
            messages=self._messages,
            lost=self._missing if self._countable and publishers <= 1 else None,
            first_ns=self._first_ns,
            last_ns=None if self._first_ns is None else self._last_ns,
            largest_gap_ns=self._largest_gap_ns,
            largest_delay_ns=self._largest_delay_ns,
        )

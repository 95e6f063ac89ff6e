"""What came on a topic while somebody listened: rates, stamps, names, pictures. Pure; message by message."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from learned_arm import cdr, pictures
from learned_arm.errors import LearnedArmError
from learned_arm.streams import StreamCounter, StreamStatistics

_SAMPLED = 8


class HeardTopic:
    """A topic of messages that begin with a header.

    Attributes:
        offsets_ns: Header stamp minus receive time, of each message.
        backward: How many stamps lay before the one of the message before.
        repeated: How many stamps were the one of the message before.
        unreadable: What was wrong with messages that could not be read, and how often.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.offsets_ns: list[int] = []
        self.backward = self.repeated = 0
        self.unreadable = Counter[str]()
        self._counter = StreamCounter()
        self._last_ns: int | None = None

    @property
    def statistics(self) -> StreamStatistics:
        """Rate, gaps and losses by receive time."""
        return self._counter.statistics()

    @property
    def offset_ns(self) -> int | None:
        """The median of `offsets_ns`, None before the first message."""
        return int(np.median(self.offsets_ns)) if self.offsets_ns else None

    def add(self, raw: bytes, source_ns: int, received_ns: int, sequence: int | None = None) -> None:
        """Take a message; times in system time."""
        self._counter.add(sequence, source_ns, received_ns)
        try:
            stamp_ns = cdr.header_stamp_ns(raw)
            self._read(raw)
        except LearnedArmError as error:
            self.unreadable[str(error)] += 1
            return
        self.offsets_ns.append(stamp_ns - received_ns)
        if self._last_ns is not None:
            self.backward += stamp_ns < self._last_ns
            self.repeated += stamp_ns == self._last_ns
        self._last_ns = stamp_ns

    def _read(self, raw: bytes) -> None:
        """What a kind of message tells besides."""


class HeardJoints(HeardTopic):
    """Joint states.

    Attributes:
        orders: The orders in which joints were named, each with how often.
        position: By joint, the newest position, as the driver calls it.
        not_finite: Joints of which a position was not finite.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.orders = Counter[tuple[str, ...]]()
        self.position: dict[str, float] = {}
        self.not_finite: set[str] = set()

    def _read(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        if len(view.position) != len(view.names):
            got = f"{len(view.names)} names, {len(view.position)} positions"
            raise LearnedArmError("not a position a joint", where=self.topic, got=got)
        self.orders[view.names] += 1
        self.position |= dict(zip(view.names, view.position.tolist(), strict=True))
        self.not_finite |= {name for name, at in zip(view.names, view.position, strict=True) if not np.isfinite(at)}


class HeardWrench(HeardTopic):
    """Forces and torques."""

    def _read(self, raw: bytes) -> None:
        if not np.isfinite(cdr.read_wrench(raw)).all():
            raise LearnedArmError("wrench not finite", where=self.topic)


class HeardCamera(HeardTopic):
    """Pictures.

    Attributes:
        sizes: (height, width) with how often.
        encodings: With how often.
        frames: frame_id with how often.
        pictures: How many of those looked at differ from each other.
        looked_at: How many were looked at whole.
        small: The newest of them, uint8 RGB; None where it shows distances, which have no exposure.
    """

    def __init__(self, topic: str, message: str = pictures.RAW) -> None:
        super().__init__(topic)
        self._message = message
        self.sizes = Counter[tuple[int, int]]()
        self.encodings, self.frames = Counter[str](), Counter[str]()
        self.looked_at = 0
        self.small: NDArray[np.uint8] | None = None
        self._digests: set[bytes] = set()
        self._count = 0

    @property
    def pictures(self) -> int:
        """How many of those looked at differ."""
        return len(self._digests)

    def _read(self, raw: bytes) -> None:
        view = pictures.look(raw, self._message)
        self.sizes[view.height, view.width] += 1
        self.encodings[view.encoding] += 1
        self.frames[view.frame_id] += 1
        # Looking at every picture of four cameras would be what makes them late.
        if self._count % _SAMPLED == 0:
            small = pictures.decode_small(raw, self._message)
            self.small = small if self._message != pictures.DEPTH else None
            self.looked_at += 1
            self._digests.add(blake2b(view.data, digest_size=16).digest())
        self._count += 1

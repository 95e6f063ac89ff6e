"""Looks at what comes in while it passes: how the contract's streams are, and whether the arm does anything."""

from __future__ import annotations

from collections.abc import Sequence

from data_recorder.episode_writer import Received
from data_recorder.guards import IdleGuard
from data_recorder.monitor import Monitor
from learned_arm import cdr
from learned_arm.errors import LearnedArmError


class Watch:
    """Sees every batch, on the intake's thread.

    Args:
        monitor: Follows the contract's streams.
        idle: Follows the arm.
    """

    def __init__(self, monitor: Monitor, idle: IdleGuard) -> None:
        self.monitor, self.idle = monitor, idle

    def see(self, batch: Sequence[Received]) -> None:
        """Look at a batch."""
        topics, joints = self.monitor.topics, self.idle.topics
        for message in batch:
            topic = message.topic
            if topic not in topics:
                continue
            try:
                stamp_ns = cdr.header_stamp_ns(message.data)
            except LearnedArmError:
                # It is recorded as it is; as a sign of life its receive stamp will do.
                stamp_ns = message.received_ns
            self.monitor.add(topic, message.received_ns, stamp_ns)
            if topic in joints:
                self.idle.add(topic, message.received_ns, stamp_ns, message.data)

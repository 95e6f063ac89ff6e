"""Takes raw messages from their subscriptions in short rounds, on a thread of its own.

An executor wakes up, builds a wait set and calls back for every single message: about 0.4 ms each, which at
2000 messages a second is most of a core. Taking what has arrived thirty times a second costs a small part of that.
The middleware stamps a message when it receives it, so that the stamps do not depend on the rounds.

A reader of Fast DDS 2.14 that begins while large messages are under way sometimes ends up with one at its head that it
has already given back to its pool: taken, it is empty, and it is taken again and again, with nothing behind it. Such a
subscription is never heard again and must be made anew.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.qos import QoSProfile

from data_recorder.episode_writer import Received
from learned_arm.ros.polled import unwaited
from learned_arm.ros.raw_take import RawTake

_ROUND_S = 0.033
_MOST_A_ROUND = 1000
_RECEIVED = itemgetter(0)


@dataclass
class _Source:
    topic: str
    message_class: Any
    profile: QoSProfile
    latched: bool
    subscription: Any
    take: RawTake
    stuck: bool = False


class Intake:
    """All subscriptions of the recorder.

    Args:
        node: Owner of the subscriptions.
        deliver: Called with each batch, ordered by receive stamp; across batches the stamps do not decrease
        either.
    """

    def __init__(self, node: Node, deliver: Callable[[list[Received]], None]) -> None:
        self.lock = threading.RLock()
        self._node = node
        self._deliver = deliver
        self._sources: list[_Source] = []
        self._held: list[Received] = []
        self._latched: dict[str, Received] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake")
        self._thread.start()

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics subscribed to."""
        return tuple(source.topic for source in self._sources)

    def subscribe(self, topic: str, message_class: Any, profile: QoSProfile, latched: bool) -> Any:
        """Begin to take a topic; of a latched one the last message is kept. Returns the subscription."""
        subscription = unwaited(self._node, message_class, topic, profile)
        source = _Source(topic, message_class, profile, latched, subscription, RawTake(subscription))
        with self.lock:
            self._sources.append(source)
        return subscription

    def renew_stuck(self) -> dict[str, Any]:
        """By topic the new subscription in the place of each that would never be heard again; on the node's thread."""
        stuck = [source for source in self._sources if source.stuck]
        for source in stuck:
            with self.lock:
                self._node.destroy_subscription(source.subscription)
                source.subscription = unwaited(self._node, source.message_class, source.topic, source.profile)
                source.take, source.stuck = RawTake(source.subscription), False
        return {source.topic: source.subscription for source in stuck}

    def latched(self) -> list[Received]:
        """The last message of every latched topic, oldest first."""
        with self.lock:
            return sorted(self._latched.values(), key=_RECEIVED)

    def take(self, until_ns: int) -> None:
        """Deliver what was received up to a time, system time; what came later is held for the next call."""
        with self.lock:
            batch = self._held
            for source in self._sources:
                self._take_from(source, batch)
            batch.sort(key=_RECEIVED)
            split = bisect_right(batch, until_ns, key=_RECEIVED)
            self._held = batch[split:]
            due = batch[:split]
            if not due:
                return
            latched = {source.topic for source in self._sources if source.latched}
            for message in due:
                if message.topic in latched:
                    self._latched[message.topic] = message
            self._deliver(due)

    def stop(self) -> None:
        """End the thread. Subscriptions go with their node."""
        self._stopping.set()
        self._thread.join()

    def _take_from(self, source: _Source, batch: list[Received]) -> None:
        if source.stuck:
            return
        take, topic = source.take, source.topic
        try:
            with source.subscription.handle:
                for _ in range(_MOST_A_ROUND):
                    taken = take()
                    if taken is None:
                        return
                    if not taken.data:
                        source.stuck = True
                        return
                    batch.append(Received(taken.received_ns, topic, taken.data, taken.source_ns, taken.sequence))
        except InvalidHandle:
            return

    def _run(self) -> None:
        while not self._stopping.wait(_ROUND_S):
            self.take(time.time_ns())

"""Messages taken straight into bytes: the same as rclpy's own call gives, whatever their sizes, and nobody else's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.ros
SIZES = (10, 70_000, 921_600, 11, 921_601, 4_000_000, 12)


class Bench:
    """A publisher of words, and readers of them."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from std_msgs.msg import String

        from learned_arm.ros import qos

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("taking", context=self.context)
        self.kind, self.profile = String, qos.small()
        self.out = self.node.create_publisher(String, "/words", self.profile)
        self.readers = 0

    def subscribe(self) -> Any:
        """One reader more, which is there when this returns."""
        from learned_arm.ros.polled import unwaited

        self.readers += 1
        subscription = unwaited(self.node, self.kind, "/words", self.profile)
        self.until(lambda: self.out.get_subscription_count() == self.readers)
        return subscription

    def taken(self, subscription: Any, take: Callable[[], Any]) -> Any:
        """The next message."""
        found: list[Any] = []

        def look() -> bool:
            with subscription.handle:
                found.append(take())
            return found[-1] is not None

        self.until(look)
        return found[-1]

    def until(self, done: Callable[[], bool]) -> None:
        """Wait for something, and do not wait for ever."""
        deadline_s = time.monotonic() + 20.0
        while not done():
            assert time.monotonic() < deadline_s
            time.sleep(0.005)


@pytest.fixture
def bench(ros_domain_id: int) -> Iterator[Bench]:
    made = Bench(ros_domain_id)
    yield made
    made.node.destroy_node()
    made.context.try_shutdown()


def word(size: int, seed: int) -> bytes:
    """A std_msgs/String of a number of bytes."""
    letters = np.random.default_rng(seed).integers(97, 123, size - 9, np.uint8).tobytes()
    return b"\x00\x01\x00\x00" + (size - 8).to_bytes(4, "little") + letters + b"\x00"


def test_they_are_those_that_rclpy_gives(bench: Bench) -> None:
    from learned_arm.ros.raw_take import RawTake

    mine, theirs = bench.subscribe(), bench.subscribe()
    take = RawTake(mine)
    assert take._direct is not None, "rcl is called by other names here"
    with mine.handle:
        assert take() is None
    said, got = [word(size, seed) for seed, size in enumerate(SIZES)], []
    for each in said:
        bench.out.publish(each)
        got.append(bench.taken(mine, take))
        data, info = bench.taken(theirs, lambda: theirs.handle.take_message(bench.kind, True))
        assert data == got[-1].data
        assert (info["source_timestamp"], info["publication_sequence_number"]) == (got[-1].source_ns, got[-1].sequence)
        assert 0 <= got[-1].received_ns - got[-1].source_ns < 5e9
    # Each has memory of its own, which nobody writes to again, and nobody else holds.
    assert [each.data for each in got] == said
    assert {sys.getrefcount(each.data) for each in got} == {2}
    assert [each.sequence - got[0].sequence for each in got] == list(range(len(SIZES)))


def test_an_empty_one_behind_large_ones_is_empty(bench: Bench) -> None:
    """As Fast DDS hands it out again and again, when a reader is stuck."""
    from learned_arm.ros.raw_take import RawTake

    mine = bench.subscribe()
    take, large = RawTake(mine), word(100_000, 5)
    for each in (large, b"", large):
        bench.out.publish(each)
        assert bench.taken(mine, take).data == each


def test_what_is_not_kept_is_freed(bench: Bench) -> None:
    from learned_arm.ros.raw_take import RawTake

    mine = bench.subscribe()
    take, large = RawTake(mine), word(1_000_000, 1)

    def resident_mb() -> float:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6

    before_mb = 0.0
    for count in range(120):
        bench.out.publish(large)
        bench.taken(mine, take)
        if count == 40:
            before_mb = resident_mb()
    assert resident_mb() - before_mb < 20.0


def test_what_cannot_be_taken_is_an_error_with_the_words_of_the_middleware(bench: Bench) -> None:
    from learned_arm.errors import LearnedArmError
    from learned_arm.ros.raw_take import RawTake

    class Gone:
        pointer = None

    mine = bench.subscribe()
    take, large = RawTake(mine), word(100_000, 3)
    bench.out.publish(large)
    bench.taken(mine, take)
    assert take._direct is not None
    take._direct._handle = Gone()
    with pytest.raises(LearnedArmError, match="/words: cannot take a message; got subscription pointer is invalid"):
        take()
    # The error was told, and is not told again.
    take._direct._handle = mine.handle
    bench.out.publish(large)
    assert bench.taken(mine, take).data == large


def test_without_these_calls_it_is_rclpys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from learned_arm.ros import raw_take

    def absent() -> Any:
        raise AttributeError("rcl_take_serialized_message")

    monkeypatch.setattr(raw_take, "_library", absent)
    mine = bench.subscribe()
    take = raw_take.RawTake(mine)
    for size in (100_000, 100_001):
        bench.out.publish(word(size, 4))
        assert bench.taken(mine, take).data == word(size, 4)

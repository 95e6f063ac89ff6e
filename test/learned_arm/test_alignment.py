"""Alignment: content is chosen by header stamp alone, within its age, and receive time can only refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.alignment import AlignedTick, Aligner, Refusal, Sample, StreamBuffer, ticks_between
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError

CONTRACT = load_contract("pick_cube")
MS = 1_000_000
STAMPS = st.lists(st.integers(0, 400), max_size=30)
TICKS, AGES, LATENCIES = st.integers(0, 500), st.integers(1, 200), st.integers(0, 100)


def filled(stamps_ms: list[int], max_age_ms: int = 100, latency_ms: int = 0, capacity: int = 256) -> StreamBuffer:
    """A buffer with a message a stamp, each received 3 ms later."""
    buffer = StreamBuffer("camera:front", max_age_ms / 1e3, latency_ms / 1e3, capacity)
    for stamp in stamps_ms:
        buffer.push(stamp * MS, (stamp + 3) * MS, stamp)
    return buffer


@given(STAMPS, TICKS, AGES, LATENCIES)
def test_the_newest_message_at_or_before_the_tick_less_latency_or_nothing(
    stamps: list[int], tick: int, age: int, latency: int
) -> None:
    found = filled(sorted(set(stamps)), age, latency).sample(tick * MS)
    usable = [stamp for stamp in stamps if tick - latency - age <= stamp <= tick - latency]
    if usable:
        assert isinstance(found, Sample) and found.stamp_ns == max(usable) * MS and found.raw == max(usable)
    else:
        assert isinstance(found, Refusal) and found.tick_ns == tick * MS


@given(STAMPS, TICKS, st.integers(0, 600), AGES)
def test_the_time_of_receipt_can_only_refuse(stamps: list[int], tick: int, now: int, age: int) -> None:
    buffer = filled(sorted(set(stamps)), age)
    offline, live = buffer.sample(tick * MS), buffer.sample(tick * MS, now * MS)
    assert live == offline or (isinstance(live, Refusal) and isinstance(offline, Sample))


@given(STAMPS)
def test_a_message_out_of_order_is_dropped_and_counted(stamps: list[int]) -> None:
    buffer = filled(stamps)
    in_order = [stamp for index, stamp in enumerate(stamps) if stamp > max(stamps[:index], default=-1)]
    assert buffer.out_of_order == len(stamps) - len(in_order)
    for stamp in range(401):
        found = buffer.exactly(0, stamp * MS)
        assert isinstance(found, Sample) == (stamp in in_order)


@given(STAMPS, STAMPS, TICKS)
def test_what_comes_later_in_time_changes_no_earlier_tick(before: list[int], after: list[int], tick: int) -> None:
    buffer = filled(sorted(set(before)), 1000)
    seen = buffer.sample(tick * MS)
    for stamp in after:
        buffer.push((tick + 1 + stamp) * MS, 0, stamp)
    assert buffer.sample(tick * MS) == seen or isinstance(seen, Refusal)


def test_refusals_say_why() -> None:
    assert str(filled([]).sample(0)) == "camera:front: no message yet"
    assert str(filled([50]).sample(40 * MS)) == "camera:front: no message old enough"
    assert str(filled([50]).sample(200 * MS)) == "camera:front: stale: 150.0 ms old, allowed 100.0 ms"
    silent = filled([50]).sample(60 * MS, 200 * MS)
    assert str(silent) == "camera:front: silent: 147.0 ms, allowed 100.0 ms"


def test_the_oldest_messages_make_room() -> None:
    buffer = filled(list(range(10)), capacity=4)
    assert isinstance(buffer.exactly(0, 5 * MS), Refusal) and isinstance(buffer.exactly(0, 6 * MS), Sample)
    assert str(buffer.sample(3 * MS)) == "camera:front: no message old enough"
    buffer.clear()
    assert buffer.newest_stamp_ns is None


TOPICS = {
    "camera:front": "/front/image_raw",
    "camera:wrist": "/wrist/image_raw",
    "joints:/joint_states": "/joint_states",
}
MESSAGES = [(topic, stamp) for topic in TOPICS.values() for stamp in range(100, 200, 10)]


def pushed(order: list[tuple[str, int]]) -> Aligner:
    aligner = Aligner(CONTRACT)
    for index, (topic, stamp) in enumerate(order):
        aligner.push(topic, stamp * MS, index, (topic, stamp))
    return aligner


def rebuilt(aligner: Aligner, tick_ns: int, stamps_ns: dict[str, int]) -> dict[str, object]:
    tick = aligner.at_stamps(tick_ns, stamps_ns)
    assert isinstance(tick, AlignedTick)
    return {name: sample.raw for name, sample in tick.samples.items()}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(0, 100), st.integers(0, 20))
def test_what_is_let_go_could_not_have_been_sampled_any_more(steps: list[int], behind: int, latency: int) -> None:
    whole = StreamBuffer("x", 0.05, latency / 1e3)
    short = StreamBuffer("x", 0.05, latency / 1e3, behind_s=behind / 1e3)
    stamp = 1000
    for step in steps:
        stamp += step
        for buffer in (whole, short):
            buffer.push(stamp * MS, 0, stamp)
        for tick in range(stamp - behind, stamp + 60, 7):
            one, other = whole.sample(tick * MS), short.sample(tick * MS)
            assert one == other or (isinstance(one, Refusal) and isinstance(other, Refusal))
        oldest = short.oldest_stamp_ns
        assert oldest is not None and oldest >= (stamp - behind - latency - 50) * MS


@given(st.permutations(MESSAGES), st.integers(100, 190))
def test_the_order_of_arrival_changes_nothing_that_stamps_rebuild(order: list[tuple[str, int]], tick: int) -> None:
    # Streams arrive in any interleaving; within a stream the transport keeps the order.
    arrival = sorted(range(len(order)), key=lambda index: order[index][1])
    queues = {topic: iter([order[index] for index in arrival if order[index][0] == topic]) for topic in TOPICS.values()}
    live, bag = pushed([next(queues[topic]) for topic, _ in order]), pushed(MESSAGES)
    seen = live.sample(tick * MS)
    assert isinstance(seen, AlignedTick)
    assert seen.stamps_ns == dict.fromkeys(TOPICS, tick // 10 * 10 * MS)
    assert rebuilt(bag, tick * MS, seen.stamps_ns) == rebuilt(live, tick * MS, seen.stamps_ns)
    assert rebuilt(bag, tick * MS, seen.stamps_ns) == {name: sample.raw for name, sample in seen.samples.items()}


def test_a_tick_wants_every_stream() -> None:
    for missing, topic in TOPICS.items():
        aligner = pushed([each for each in MESSAGES if each[0] != topic])
        refusal = aligner.sample(150 * MS)
        assert isinstance(refusal, Refusal) and refusal.stream == missing
        assert not aligner.reached(100 * MS)
    whole = pushed(MESSAGES)
    assert whole.reached(190 * MS) and not whole.reached(191 * MS)
    whole.clear()
    assert not whole.reached(0)


def test_stamps_that_are_not_there_are_refused() -> None:
    stamps = dict.fromkeys(TOPICS, 150 * MS)
    missing = pushed(MESSAGES).at_stamps(0, {**stamps, "camera:wrist": 151 * MS})
    assert str(missing) == f"camera:wrist: no message stamped {151 * MS}"
    unsaid = pushed(MESSAGES).at_stamps(0, {"camera:front": 150 * MS})
    assert str(unsaid) == "camera:wrist: no stamp was published for this stream"


def test_a_topic_of_another_contract_is_an_error() -> None:
    with pytest.raises(LearnedArmError, match=r"topic not in the contract; got /side; allowed: .*'/joint_states'"):
        Aligner(CONTRACT).push("/side", 0, 0, b"")
    assert set(Aligner(CONTRACT).topics) == set(TOPICS.values())


@given(st.integers(-1000, 1000), st.integers(-10, 1000), st.integers(1, 97))
def test_ticks_are_the_multiples_of_the_period(first: int, length: int, period: int) -> None:
    ticks = ticks_between(first, first + length, period)
    assert list(ticks) == [tick for tick in range(first, first + length + 1) if tick % period == 0]

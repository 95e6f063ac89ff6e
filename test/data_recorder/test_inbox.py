"""A bounded queue that never loses anything without a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_recorder.episode_writer import Received
from data_recorder.inbox import Inbox

BATCHES = st.lists(st.lists(st.integers(0, 60), max_size=6), max_size=8)


@given(BATCHES, st.integers(0, 200))
def test_every_message_is_delivered_in_order_or_counted(batches: list[list[int]], capacity: int) -> None:
    inbox = Inbox(capacity)
    stamp, sent = 0, []
    for sizes in batches:
        batch = []
        for size in sizes:
            stamp += 1
            batch.append(Received(stamp, f"/{size % 3}", bytes(size), stamp, stamp))
        inbox.put_messages(batch)
        assert inbox.waiting_bytes <= capacity
        sent += batch
    inbox.put_command("end")
    got = []
    while (item := inbox.take()) != "end":
        got += item
    assert inbox.waiting_bytes == 0
    assert [m.received_ns for m in got] == sorted(m.received_ns for m in got)
    assert set(got) <= set(sent)
    for topic in ("/0", "/1", "/2"):
        delivered = sum(m.topic == topic for m in got)
        assert delivered + inbox.dropped().get(topic, 0) == sum(m.topic == topic for m in sent)


def test_commands_always_fit_and_keep_their_place() -> None:
    inbox = Inbox(4)
    message = Received(1, "/a", b"1234", 1, 1)
    inbox.put_messages([message, message])
    inbox.put_command("a topic")
    inbox.put_messages([message])
    inbox.put_command("end")
    assert [inbox.take(), inbox.take(), inbox.take()] == [[message], "a topic", "end"]
    assert inbox.dropped() == {"/a": 2}
    inbox.clear_dropped()
    assert inbox.dropped() == {}

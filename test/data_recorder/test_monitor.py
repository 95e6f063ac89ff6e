"""How streams are judged, before an episode and in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_recorder.monitor import LEAST_SHARE, Health, Monitor, StreamWatch

SECOND_NS = 10**9
STALE_NS = SECOND_NS


def fed(rate_hz: float, seconds: float = 3.0, needed_hz: float = 20.0) -> StreamWatch:
    watch = StreamWatch(needed_hz)
    for index in range(round(seconds * rate_hz)):
        at_ns = round(index * SECOND_NS / rate_hz)
        watch.add(at_ns, at_ns)
    return watch


@given(st.floats(1.0, 2000.0))
def test_a_stream_is_slow_exactly_below_its_share_of_the_needed_rate(rate_hz: float) -> None:
    seen = fed(rate_hz).health(3 * SECOND_NS, 10 * SECOND_NS)
    if rate_hz > LEAST_SHARE * 20.0 * 1.02:
        assert seen.health is Health.OK
    if rate_hz < LEAST_SHARE * 20.0 * 0.98:
        assert seen.health is Health.SLOW
        assert "needs 20 Hz" in str(seen)


def test_a_stream_that_stops_has_stalled_after_the_age_that_is_allowed() -> None:
    watch = fed(20.0)
    last_ns = 3 * SECOND_NS - SECOND_NS // 20
    assert watch.health(last_ns + STALE_NS, STALE_NS).health is Health.OK
    stalled = watch.health(last_ns + STALE_NS + 1, STALE_NS)
    assert stalled.health is Health.STALLED and stalled.age_s is not None and stalled.age_s > 1.0


def test_the_rate_is_that_of_the_stamps_however_fast_they_arrive() -> None:
    watch = StreamWatch(20.0)
    for index in range(40):
        # A simulation at a fifth of real time.
        watch.add(index * SECOND_NS // 4, index * SECOND_NS // 20)
    assert watch.health(10 * SECOND_NS, STALE_NS).health is Health.OK


def test_a_clock_that_was_set_back_is_measured_anew() -> None:
    watch = fed(20.0)
    for index in range(3):
        watch.add(3 * SECOND_NS + index, index * SECOND_NS // 20)
    assert 19.0 < watch.rate_hz < 21.0


def test_every_reason_against_a_start_names_its_stream() -> None:
    monitor = Monitor({"/front": 20.0, "/wrist": 20.0, "/joints": 20.0}, stale_s=1.0)
    for index in range(10):
        monitor.add("/front", index * SECOND_NS // 20, index * SECOND_NS // 20)
        monitor.add("/wrist", index * SECOND_NS // 5, index * SECOND_NS // 5)
    reasons = monitor.against_start(SECOND_NS // 2)
    assert [reason.split()[:2] for reason in reasons] == [["/wrist", "SLOW"], ["/joints", "MISSING"]]
    assert "never came" in reasons[1]

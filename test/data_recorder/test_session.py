"""Laws of the recorder's states, over every sequence of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recorder.session import INTERRUPTED, Session, State, Verb

EVENTS = ("start", "success", "failure", "discard", "interrupt", "closed", "failed", "ready", "pass_time")


def send(session: Session, event: str, now_ns: int) -> bool:
    """Send one event; whether it was accepted (what the files report always is)."""
    if event == "start":
        return session.start(now_ns, f"e{now_ns}").accepted
    if event == "interrupt":
        return session.interrupt(now_ns).accepted
    if event == "ready":
        return session.ready().accepted
    if event == "pass_time":
        return session.pass_time(now_ns)
    if event == "closed":
        session.closed(now_ns, "/data/episode")
    elif event == "failed":
        session.failed(now_ns, "disk full")
    else:
        return session.end(now_ns, Verb(event)).accepted
    return True


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 1000))), st.sampled_from([0.0, 1e-7]))
def test_only_legal_requests_are_accepted_and_refusals_change_nothing(
    events: list[tuple[str, int]], reset_s: float
) -> None:
    session = Session(reset_s)
    for event, now_ns in events:
        before, take = session.state, session.take
        accepted = send(session, event, now_ns)
        if event == "start":
            assert accepted == (before is State.IDLE)
        elif event in ("ready", "pass_time"):
            assert not accepted or (before is State.RESET and session.state is State.IDLE)
        elif event not in ("closed", "failed"):
            assert accepted == (before is State.RECORDING)
        if not accepted:
            assert (session.state, session.take) == (before, take)
        assert (session.take is None) == (session.state in (State.IDLE, State.RESET))
        assert reset_s > 0 or session.state is not State.RESET
        if session.take is not None and session.take.end_ns is not None:
            assert session.take.end_ns >= session.take.start_ns


@pytest.mark.parametrize(
    ("verb", "outcome", "discarded"),
    [(Verb.SUCCESS, "success", False), (Verb.FAILURE, "failure", False), (Verb.DISCARD, None, True)],
)
def test_the_outcome_is_the_one_asked_for(verb: Verb, outcome: str | None, discarded: bool) -> None:
    session = Session()
    assert session.start(10, "one").text == "one"
    answer = session.end(20, verb, "why")
    assert answer.accepted and answer.text == "one"
    take = session.take
    assert take is not None
    assert (take.outcome, take.discarded, take.reason, take.end_ns) == (outcome, discarded, "why", 20)
    session.closed(21, "/data/one" if not discarded else "")
    assert session.result.outcome == (outcome or "discarded")


def test_silent_streams_refuse_the_start_by_name() -> None:
    session = Session()
    answer = session.start(0, "one", ["/front/image_raw", "/joint_states"])
    assert not answer.accepted and "/front/image_raw" in answer.text and "/joint_states" in answer.text
    assert session.state is State.IDLE


def test_the_scene_is_reset_before_the_next_start_and_ready_cuts_it_short() -> None:
    session = Session(reset_s=2.0)
    for name, cut_short in (("one", False), ("two", True)):
        assert session.start(0, name).accepted
        session.end(1, Verb.SUCCESS)
        session.closed(10**9, f"/data/{name}")
        assert session.state is State.RESET
        refused = session.start(2 * 10**9, "next")
        assert not refused.accepted and "1.0 s left" in refused.text and "~/ready" in refused.text
        assert not session.pass_time(2 * 10**9)
        assert session.ready().accepted if cut_short else session.pass_time(3 * 10**9)
        assert session.state is State.IDLE


def test_only_an_episode_that_is_there_can_be_reviewed() -> None:
    session = Session()
    assert not session.may_review().accepted
    session.start(0, "one")
    assert not session.may_review().accepted
    session.end(1, Verb.DISCARD)
    session.closed(2, "")
    assert not session.may_review().accepted
    session.start(3, "two")
    session.end(4, Verb.SUCCESS)
    session.closed(5, "/data/two")
    assert session.may_review().text == "/data/two"
    session.reviewed("", "discarded")
    assert not session.may_review().accepted


def test_a_stopped_recorder_ends_in_failure() -> None:
    session = Session()
    session.start(0, "one")
    session.interrupt(5)
    assert session.take is not None
    assert (session.take.outcome, session.take.reason) == ("failure", INTERRUPTED)


def test_a_disk_error_while_recording_is_told_and_the_next_start_is_free() -> None:
    session = Session()
    session.start(0, "one")
    session.failed(1, "No space left on device")
    assert (session.result.outcome, session.result.error) == ("error", "No space left on device")
    assert session.start(1, "two").accepted
    assert session.result.error == ""

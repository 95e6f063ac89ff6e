"""A person who takes over from the policy: a stretch of commands, told from the commands alone."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from learned_arm.interventions import Intervention, InterventionWatch

MS = 1_000_000
SOURCES = ("", "teleop", "policy", "replay", "home")


def watched(*commands: tuple[int, str]) -> tuple[Intervention, ...]:
    """Commands as (ms, source)."""
    watch = InterventionWatch()
    for at_ms, source in commands:
        watch.add(at_ms * MS, source)
    return watch.found


def span(start_ms: int, end_ms: int) -> Intervention:
    return Intervention("teleop", start_ms * MS, end_ms * MS)


def test_from_the_persons_first_command_to_their_last() -> None:
    found = watched((0, "policy"), (10, "teleop"), (20, "teleop"), (30, ""), (40, "policy"), (50, "teleop"))
    assert found == (span(10, 20), span(50, 50))


def test_a_demonstration_has_none_and_neither_has_a_person_before_the_policy() -> None:
    assert watched(*((at, "teleop") for at in range(0, 100, 10))) == ()
    assert watched((0, "teleop"), (10, ""), (20, "policy"), (30, "policy")) == ()
    assert watched((0, "home"), (10, "teleop"), (20, "replay"), (30, "teleop")) == ()


def test_let_go_by_the_policy_first_it_is_an_intervention_too() -> None:
    assert watched((0, "policy"), (10, ""), (2000, "teleop"), (2010, "teleop")) == (span(2000, 2010),)


def test_a_silence_ends_it_since_commands_fall_silent_only_where_nobody_commands() -> None:
    found = watched((0, "policy"), (10, "teleop"), (400, "teleop"), (2000, "teleop"))
    assert found == (span(10, 400), span(2000, 2000))


def test_commands_without_a_source_tell_nothing() -> None:
    assert watched(*((at, "") for at in range(0, 100, 10))) == ()


@given(st.lists(st.tuples(st.integers(-100, 3000), st.sampled_from(SOURCES))))
def test_every_command_of_a_person_after_the_policy_lies_in_exactly_one(commands: list[tuple[int, str]]) -> None:
    found = watched(*commands)
    newest, policy_commanded = -1, False
    for at_ms, source in commands:
        if at_ms <= newest or at_ms < 0:
            continue
        newest = at_ms
        inside = [each for each in found if each.start_ns <= at_ms * MS <= each.end_ns]
        assert len(inside) == (source == "teleop" and policy_commanded)
        policy_commanded |= source == "policy"
    assert all(a.end_ns < b.start_ns for a, b in itertools.pairwise(found))

"""Strikes with a fault while the arm moves, and measures what follows."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

from benchmarks.faults.faults import Fault
from benchmarks.faults.rig import ARM, POLICY, Rig
from learned_arm.door_state import State

# From a decision to the message that tells of it, over DDS and a busy machine's scheduler, and one tick of the policy.
ALLOWANCE_S = 0.2
# Braking from the rig's 0.15 rad/s takes 15 ms and the step in which it begins.
BRAKING_S = 0.05
_STILL_S, _LOOKS_S, _LATE_S = 0.2, 0.6, 3.0
# What is said when a starved machine lets a process of the rig fall silent; _AGAIN times at most.
_STALLED, _AGAIN = "stood still|stale|silent", 2


@dataclass(frozen=True)
class Outcome:
    """What a fault led to.

    Attributes:
        name: Of the fault.
        required: What had to happen.
        seen: What the door, or for a refused tick the policy, said.
        reaction_s: From the fault to the door's state; None: no reaction was wanted, or none came.
        bar_s: Longest allowed time of that.
        still_s: From the fault to the last command that moved; None: it never stood.
        still_bar_s: Longest allowed time of that.
        problems: What was not as required; empty: ok.
        disturbed: How often it had to be struck again, see `measure`.
    """

    name: str
    required: str
    seen: str
    reaction_s: float | None
    bar_s: float | None
    still_s: float | None
    still_bar_s: float | None
    problems: tuple[str, ...]
    disturbed: int = 0

    @property
    def ok(self) -> bool:
        """Whether all was as required."""
        return not self.problems


def measure(rig: Rig, fault: Fault) -> Outcome:
    """Make the arm move, strike, look, mend. The next call begins where this one ends.

    A machine that lets a process starve strikes by itself: what the door did then is no answer to this fault, which is
    struck again, twice at most, and the outcome says so.
    """
    outcome = _measure(rig, fault)
    for disturbed in range(1, _AGAIN + 1):
        if outcome.ok or not _disturbed(rig, fault):
            break
        outcome = replace(_measure(rig, fault), disturbed=disturbed)
    return outcome


def _disturbed(rig: Rig, fault: Fault) -> bool:
    """Whether the arm was stopped for something that this fault is not.

    A deadman that fell silent is not a camera that did: of the door's words those belong to the fault that come with
    one of its states.
    """
    states = {state.value for state in fault.states}
    texts = [
        each.text
        for each in rig.observer.told[ARM]
        if not (each.values["state"] in states and re.search(fault.reason, each.text))
    ]
    if fault.goes_on:
        texts += [each.values.get("last_refusal", "") for each in rig.observer.told[POLICY]]
    return any(re.search(_STALLED, text) for text in texts)


def _measure(rig: Rig, fault: Fault) -> Outcome:
    rig.make_move()
    observer = rig.observer
    # What was heard before belongs to the fault before, and was judged with it.
    observer.forget()
    observer.spin(0.1)
    try:
        struck_ns = fault.strike(rig)
        outcome = _goes_on(rig, fault) if fault.goes_on else _stops(rig, fault, struck_ns)
    finally:
        fault.mend(rig)
    problems = [*outcome.problems]
    if fault.kills:
        # What was started anew must be there before anybody counts on it.
        rig.make_move()
    problems += rig.broken_limits()[:3]
    problems += [f"an observation that was never there: {each}" for each in rig.unknown_observations()[:3]]
    return replace(outcome, problems=tuple(problems))


def _goes_on(rig: Rig, fault: Fault) -> Outcome:
    problems = [fault.check(rig)]
    rig.observer.spin(_LOOKS_S)
    states = {each.values["state"] for each in rig.observer.told[ARM]}
    if states != {State.ENGAGED.value} or not rig.moving:
        problems.append(f"the arm did not go on: {sorted(states)}, {rig.observer.value(POLICY, 'last_refusal')}")
    return Outcome(fault.name, fault.required, "goes on", None, None, None, None, tuple(filter(None, problems)))


def _stops(rig: Rig, fault: Fault, struck_ns: int) -> Outcome:
    observer, states = rig.observer, {state.value for state in fault.states}
    bar_s, still_bar_s = fault.after_s + ALLOWANCE_S, fault.may_move_s + ALLOWANCE_S + BRAKING_S

    def reaction() -> int | None:
        told = (each for each in observer.told[ARM] if each.heard_ns >= struck_ns and each.values["state"] in states)
        return next((each.heard_ns for each in told), None)

    problems = []
    observer.until(lambda: reaction() is not None, bar_s + _LATE_S)
    reacted_ns = reaction()
    if reacted_ns is None:
        said = [f"{each.values['state']} ({each.text})" for each in observer.told[ARM]]
        problem = f"no reaction; the door said {', '.join(dict.fromkeys(said))}"
        return Outcome(fault.name, fault.required, rig.state, None, bar_s, None, still_bar_s, (problem,))

    def words() -> str:
        """The door's, or where it just holds the policy's, from after the reaction."""
        node = POLICY if fault.states == (State.HOLDING,) else ARM
        for each in observer.told[node]:
            if each.heard_ns >= reacted_ns:
                said = [each.text, each.values.get("fault", ""), each.values.get("last_refusal", "")]
                found = next((text for text in said if re.search(fault.reason, text)), "")
                if found:
                    return found
        return ""

    if not observer.until(words, _LATE_S):
        problems.append(f"nobody said why: {observer.told[ARM][-1].text}; {observer.value(POLICY, 'last_refusal')}")
    still = observer.until(lambda: observer.moved_ns(_ago(_STILL_S)) is None, _LATE_S)
    moved_ns = observer.moved_ns(struck_ns)
    still_s = max((moved_ns or struck_ns) - struck_ns, 0) / 1e9 if still else None
    reaction_s = (reacted_ns - struck_ns) / 1e9
    if reaction_s > bar_s:
        problems.append(f"reaction after {reaction_s:.3f} s")
    if still_s is None or still_s > still_bar_s:
        problems.append(f"standstill after {still_s} s")
    problems.append(fault.check(rig))
    if fault.latched:
        accepted, said = rig.engage_as("home")
        if accepted or "clear_fault first" not in said:
            problems.append(f"engaged while latched: {said}")
    seen = f"{sorted(states)[0] if len(states) == 1 else rig.state}: {words()}"
    return Outcome(
        fault.name, fault.required, seen, reaction_s, bar_s, still_s, still_bar_s, tuple(filter(None, problems))
    )


def _ago(seconds: float) -> int:
    return time.monotonic_ns() - round(seconds * 1e9)

"""A replay goes to the initial state, plays every label once and in order, and says what came of it."""

from __future__ import annotations

import numpy as np
import pytest

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.replay.playback import SETTLE_TICKS, Playback
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode
from learned_arm.timeline import Timeline

COUNT = 30
START_NS = 60_000_000_000


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("pick_cube")


def episode(contract: Contract, outcome: str = "success") -> Episode:
    return Episode(
        id="0" * 32,
        name="20260101T000000Z-00000000",
        task=contract.task,
        contract_hash=contract.hash,
        contract=contract.canonical(),
        outcome=outcome,
        operator="",
        reason="",
        notes="",
        policy=None,
        initial_state=None,
        streams={},
        start_ns=0,
        end_ns=1,
        messages_hash="a" * 64,
    )


def motion(contract: Contract) -> EpisodeTicks:
    home = np.array(contract.robot.home_rad)
    path = home + np.linspace(0.0, 0.2, COUNT + 1)[:, None] * np.array([1, 1, -1, 1, 1, 1, 1])
    return EpisodeTicks(
        ticks_ns=np.arange(COUNT) * contract.period_ns,
        measured=path[:-1],
        state=path[:-1],
        commanded=path[:-1],
        targets=path[1:],
        sources=np.zeros(COUNT, np.int64),
        images={},
        stamps_ns={},
        trimmed={},
        messages_hash="a" * 64,
    )


class PerfectArm:
    """Is at every tick where it was told to be by then."""

    def __init__(self, contract: Contract, start_rad: np.ndarray) -> None:
        self.period_ns, self.measured_rad = contract.period_ns, start_rad
        self.told: list[np.ndarray] = []

    def follow(self, tick_ns: int, timeline: Timeline | None) -> None:
        if timeline is None:
            return
        target = timeline.at(tick_ns + self.period_ns)
        if target is not None:
            self.measured_rad = target
            self.told.append(target)


def run(playback: Playback, arm: PerfectArm, success_from: int = 10_000) -> int:
    """Tick until there is an outcome; returns the number of ticks."""
    for count in range(3000):
        tick_ns = START_NS + count * arm.period_ns
        arm.follow(tick_ns, playback.step(tick_ns, 0, arm.measured_rad))
        playback.observe(count >= success_from)
        if playback.outcome is not None:
            return count + 1
    pytest.fail("no outcome")


def make(contract: Contract, outcome: str = "success", move: bool = False) -> Playback:
    return Playback(episode(contract, outcome), motion(contract), tolerance_rad=0.05, speed_scale=0.25, move=move)


def test_every_label_is_played_once_and_in_order(contract: Contract) -> None:
    ticks = motion(contract)
    arm = PerfectArm(contract, ticks.measured[0])
    run(make(contract), arm, success_from=20)
    played = np.array(arm.told[SETTLE_TICKS : SETTLE_TICKS + COUNT])
    np.testing.assert_allclose(played, ticks.targets, atol=1e-5)


@pytest.mark.parametrize(
    ("recorded", "success_from", "verdict"),
    [
        ("success", 20, "passed"),
        ("success", 10_000, "failed"),
        ("failure", 10_000, "passed"),
        ("failure", 20, "failed"),
    ],
)
def test_the_recorded_outcome_must_come_again(
    contract: Contract, recorded: str, success_from: int, verdict: str
) -> None:
    playback = make(contract, recorded)
    run(playback, PerfectArm(contract, motion(contract).measured[0]), success_from)
    assert playback.outcome is not None
    assert playback.outcome[0] == verdict
    statement = playback.verdict(*playback.outcome)
    assert statement.tracking["ticks"] == COUNT
    assert statement.tracking["first_divergence"] is None


def test_an_arm_that_is_elsewhere_refuses_by_joint_and_distance(contract: Contract) -> None:
    playback = make(contract)
    elsewhere = motion(contract).measured[0] + np.array([0, 0, 0.2, 0, 0, 0, 0])
    assert not playback.arrived(elsewhere)
    assert playback.outcome is not None
    assert playback.outcome[0] == "refused"
    assert "elbow_joint is 0.2000 rad off, allowed 0.05" in playback.outcome[1]


def test_an_arm_that_is_elsewhere_is_moved_there_first(contract: Contract) -> None:
    ticks = motion(contract)
    arm = PerfectArm(contract, ticks.measured[0] + 0.15)
    playback = make(contract, move=True)
    assert run(playback, arm, success_from=0) > COUNT
    assert playback.outcome == ("passed", "the recorded outcome was reproduced")
    steps = np.abs(np.diff(np.array(arm.told), axis=0)).max(axis=0)
    limit = contract.robot.limit("velocity_rad_s") * contract.period_ns / 1e9
    assert (steps <= limit).all()


def test_success_before_the_first_label_does_not_count(contract: Contract) -> None:
    playback = make(contract)
    playback.observe(True)
    arm = PerfectArm(contract, motion(contract).measured[0])
    run(playback, arm)
    assert playback.outcome is not None
    assert playback.outcome[0] == "failed"


def test_a_stream_that_fails_before_playing_refuses_and_after_it_fails(contract: Contract) -> None:
    before, during = make(contract), make(contract)
    before.fail("no joint state")
    for count in range(SETTLE_TICKS + 2):
        during.step(START_NS + count * contract.period_ns, 0, motion(contract).measured[0])
    during.fail("no joint state")
    assert before.outcome == ("refused", "no joint state")
    assert during.outcome == ("failed", "no joint state")


def with_judge(contract: Contract, judge: str) -> Contract:
    value = contract.canonical()
    value["success"] = {"judge": judge}
    return Contract.from_canonical(value)


@pytest.mark.parametrize(("word", "verdict"), [(True, "passed"), (False, "failed")])
def test_a_person_says_how_it_ended_and_meanwhile_the_arm_holds(contract: Contract, word: bool, verdict: str) -> None:
    asked = with_judge(contract, "operator")
    ticks = motion(asked)
    playback = Playback(episode(asked), ticks, tolerance_rad=0.05, speed_scale=0.25, move=False)
    arm = PerfectArm(asked, ticks.measured[0])
    for count in range(200):
        assert not playback.asks or count > COUNT
        tick_ns = START_NS + count * arm.period_ns
        arm.follow(tick_ns, playback.step(tick_ns, 0, arm.measured_rad))
    assert playback.asks
    np.testing.assert_allclose(arm.measured_rad, ticks.targets[-1], atol=1e-6)
    playback.say(word)
    run(playback, arm)
    outcome = playback.outcome
    assert outcome is not None and outcome[0] == verdict
    said = playback.verdict(*outcome)
    assert said.judgement == {"judge": "operator", "said": "success" if word else "failure"}


@pytest.mark.parametrize(("pushed_rad", "outcome"), [(0.0, None), (0.06, "refused")])
def test_an_arm_that_was_pushed_while_somebody_looked_plays_nothing(
    contract: Contract, pushed_rad: float, outcome: str | None
) -> None:
    ticks = motion(contract)
    playback = Playback(episode(contract), ticks, tolerance_rad=0.05, speed_scale=0.25, move=False, confirm=True)
    here = np.array(ticks.measured[0])
    for count in range(2 * SETTLE_TICKS):
        playback.step(START_NS + count * contract.period_ns, 0, here)
    assert playback.waits
    playback.confirm()
    pushed = here.copy()
    pushed[1] += pushed_rad
    timeline = playback.step(START_NS + 2 * SETTLE_TICKS * contract.period_ns, 0, pushed)
    assert (None if playback.outcome is None else playback.outcome[0]) == outcome
    assert (timeline is None) is (outcome is not None) and playback.played is (outcome is None)

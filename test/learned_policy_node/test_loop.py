"""Laws of one tick: refusals hold, what was seen can be rebuilt, targets lie on the grid."""

from __future__ import annotations

import gc
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from learned_arm.action import ActionCodec, Reference
from learned_arm.alignment import AlignedTick, Aligner
from learned_arm.clock_watch import TimeFaultError
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation, ObservationBuilder
from learned_policy_node.chunking import RecedingHorizon, TemporalEnsemble
from learned_policy_node.inference import Inline, Worker
from learned_policy_node.loop import PolicyLoop, TickResult
from learned_policy_node.scheduler import Phase, Rules

PERIOD_NS = 50_000_000
CONTROL_NS = 10_000_000


class Seeing:
    """A policy whose labels depend on all it sees; it keeps what it saw."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.seen: list[Observation] = []
        self.resets: list[str | None] = []
        self.answer: np.ndarray | None = None
        self.on_act: Callable[[], object] = lambda: None

    def reset(self, occasion: str | None = None) -> None:
        self.resets.append(occasion)

    def act(self, observation: Observation) -> np.ndarray:
        self.seen.append(observation)
        self.on_act()
        if self.answer is not None:
            return self.answer
        shape = (self.contract.action.horizon, self.contract.robot.dof)
        mean = sum(float(images.mean()) for images in observation.images.values()) / 1e5
        return np.full(shape, mean, np.float32) * np.arange(1, shape[0] + 1, dtype=np.float32)[:, None]


class Writer:
    """CDR, little-endian: see OMG DDS-XTYPES 1.3, 7.4.3."""

    def __init__(self) -> None:
        self.raw = bytearray(b"\x00\x01\x00\x00")

    def pack(self, kind: str, *values: float) -> Writer:
        size = struct.calcsize(kind)
        for value in values:
            self.raw += b"\0" * ((-(len(self.raw) - 4)) % size) + struct.pack("<" + kind, value)
        return self

    def text(self, value: str) -> Writer:
        self.pack("I", len(value) + 1)
        self.raw += value.encode() + b"\0"
        return self

    def header(self, stamp_ns: int) -> Writer:
        return self.pack("i", stamp_ns // 10**9).pack("I", stamp_ns % 10**9).text("frame")


def image(stamp_ns: int, pixels: np.ndarray) -> bytes:
    height, width, _ = pixels.shape
    writer = (
        Writer().header(stamp_ns).pack("I", height, width).text("rgb8").pack("B", 0).pack("I", width * 3, pixels.size)
    )
    return bytes(writer.raw) + pixels.tobytes()


def joints(stamp_ns: int, names: tuple[str, ...], position: np.ndarray) -> bytes:
    writer = Writer().header(stamp_ns).pack("I", len(names))
    for name in names:
        writer.text(name)
    writer.pack("I", len(position))
    writer.pack("d", *position.tolist()).pack("I", 0, 0)
    return bytes(writer.raw)


class Robot:
    """Streams of a robot: images at every tick, joints at every control tick, all from one seed."""

    def __init__(self, contract: Contract, seed: int = 0) -> None:
        self.contract = contract
        self.rng = np.random.default_rng(seed)
        self.sent: list[tuple[str, int, bytes]] = []
        self.measured: dict[int, np.ndarray] = {}

    def tick(self, loop: PolicyLoop, tick_ns: int, *, skip: str = "", receive_ns: int = 0) -> None:
        messages: list[tuple[str, int, bytes]] = []
        for camera in self.contract.cameras.values():
            pixels = self.rng.integers(0, 256, (*camera.size, 3), np.uint8)
            messages.append((camera.topic, tick_ns, image(tick_ns, pixels)))
        names = self.contract.robot.joints
        for at_ns in range(tick_ns - 4 * CONTROL_NS, tick_ns + 1, CONTROL_NS):
            position = self.rng.normal(size=len(names))
            self.measured[at_ns] = position
            messages.append(("/joint_states", at_ns, joints(at_ns, names, position)))
        for topic, stamp_ns, raw in messages:
            if topic != skip:
                self.sent.append((topic, stamp_ns, raw))
                loop.push(topic, stamp_ns, receive_ns, raw)


def of(contract: Contract, representation: str = "chunk_relative", history: int = 1) -> Contract:
    return replace(contract, history=history, action=replace(contract.action, representation=representation))


@pytest.mark.parametrize("history", [1, 3])
def test_what_was_seen_is_rebuilt_bit_for_bit_from_the_chosen_stamps(contract: Contract, history: int) -> None:
    contract = of(contract, history=history)
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    chosen: dict[int, dict[str, int]] = {}
    for tick in range(20, 32):
        robot.tick(loop, tick * PERIOD_NS)
        result = loop.step(tick * PERIOD_NS)
        chosen[result.tick_ns] = dict(result.stamps_ns)
        assert result.timeline.empty == (tick < 20 + history - 1)
    aligner, builder = Aligner(contract, capacity=10_000), ObservationBuilder(contract)
    for topic, stamp_ns, raw in robot.sent:
        aligner.push(topic, stamp_ns, 0, raw)
    assert len(policy.seen) == 12 - history + 1
    for live in policy.seen:
        past = [live.tick_ns - back * PERIOD_NS for back in reversed(range(history))]
        ticks = [aligner.at_stamps(tick_ns, chosen[tick_ns]) for tick_ns in past]
        assert all(isinstance(each, AlignedTick) for each in ticks)
        again = builder.build([each for each in ticks if isinstance(each, AlignedTick)])
        np.testing.assert_array_equal(live.state, again.state)
        for name, images in live.images.items():
            np.testing.assert_array_equal(images, again.images[name])


def test_targets_lie_on_the_grid_and_are_decoded_at_the_chunk_s_own_tick(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 4), Rules(lead_ticks=5, max_jump_rad=100.0))
    for tick in range(20, 28):
        robot.tick(loop, tick * PERIOD_NS)
        result = loop.step(tick * PERIOD_NS)
        assert result.timeline.stamps_ns.tolist() == [(tick + 1 + k) * PERIOD_NS for k in range(5)]
        assert result.asked == (tick in (20, 24))
        start = 20 if tick < 24 else 24
        reference = robot.measured[start * PERIOD_NS]
        labels = Seeing(contract).act(policy.seen[-1])
        targets = ActionCodec(contract).decode(labels, Reference(reference, reference))
        np.testing.assert_array_equal(result.timeline.positions_rad, targets[tick - start : tick - start + 5])


@pytest.mark.parametrize("stream", ["/front/image_raw", "/joint_states"])
def test_a_refused_observation_holds_says_why_and_starts_over(contract: Contract, stream: str) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    robot.tick(loop, 20 * PERIOD_NS)
    assert not loop.step(20 * PERIOD_NS).timeline.empty
    for tick in (21, 22, 23):
        robot.tick(loop, tick * PERIOD_NS, skip=stream)
    result = loop.step(23 * PERIOD_NS)
    assert result.timeline.empty
    assert not result.fault
    assert "stale" in str(result.refusal)
    assert loop.readiness(23 * PERIOD_NS) == result.refusal
    robot.tick(loop, 24 * PERIOD_NS)
    resumed = loop.step(24 * PERIOD_NS)
    fresh = PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
    for topic, stamp_ns, raw in robot.sent:
        fresh.push(topic, stamp_ns, 0, raw)
    np.testing.assert_array_equal(resumed.timeline.positions_rad, fresh.step(24 * PERIOD_NS).timeline.positions_rad)


def test_streams_that_stopped_arriving_are_refused_in_real_time_only(contract: Contract) -> None:
    robot, loop = Robot(contract), PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
    robot.tick(loop, 20 * PERIOD_NS, receive_ns=0)
    result = loop.step(20 * PERIOD_NS, now_ns=200_000_000)
    assert result.timeline.empty
    assert "silent" in str(result.refusal)
    assert not loop.step(20 * PERIOD_NS).timeline.empty


def test_a_missing_joint_or_a_broken_image_is_refused_by_name(contract: Contract) -> None:
    names = contract.robot.joints
    for broken, text in (
        (("/joint_states", joints(PERIOD_NS, names[:-1], np.zeros(6))), f"missing joint {names[-1]}"),
        (("/joint_states", joints(PERIOD_NS, names, np.full(7, np.nan))), "not finite"),
        (("/front/image_raw", image(PERIOD_NS, np.zeros((4, 4, 3), np.uint8))[:-1]), "ends early"),
    ):
        loop = PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
        Robot(contract).tick(loop, PERIOD_NS, skip=broken[0])
        loop.push(broken[0], PERIOD_NS, 0, broken[1])
        result = loop.step(PERIOD_NS)
        assert result.timeline.empty
        assert text in str(result.refusal)
        assert result.stamps_ns


@pytest.mark.parametrize(
    ("labels", "text"),
    [(np.full((16, 7), np.nan, np.float32), "finite"), (np.zeros((16, 6), np.float32), "shape")],
)
def test_a_policy_that_fails_gives_nothing_and_is_a_fault(contract: Contract, labels: np.ndarray, text: str) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    policy.answer = labels
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    robot.tick(loop, PERIOD_NS)
    result = loop.step(PERIOD_NS)
    assert result.fault
    assert result.timeline.empty
    assert text in str(result.refusal)


@pytest.mark.parametrize("kind", [Inline, Worker])
def test_the_pictures_of_a_failure_are_gone_with_it_and_wait_for_no_collection(contract: Contract, kind: type) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS), Rules(), kind(policy))

    def fail() -> None:
        raise LearnedArmError("the model hangs")

    policy.on_act = fail
    gc.collect()
    gc.disable()
    try:
        tick, failures = 1, 0
        while failures < 3:
            robot.tick(loop, tick * PERIOD_NS)
            failures += loop.step(tick * PERIOD_NS, now_ns=0).fault
            tick += 1
        seen = [weakref.ref(each) for each in policy.seen]
        policy.seen.clear()
        assert sum(each() is not None for each in seen) <= (kind is Worker), "all but one that is asked just now"
    finally:
        gc.enable()
        loop.close()


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize("added_ticks", [0, 2])
def test_a_policy_that_gives_nan_at_some_step_gives_nothing_from_that_step_on(
    contract: Contract, step: int, added_ticks: int
) -> None:
    """What was planned before it is not played on either: the plan is forgotten with the fault."""
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS), inference=Inline(policy, added_ticks * PERIOD_NS))

    def spoil() -> None:
        if len(policy.seen) > step:
            policy.answer = np.zeros((16, 7), np.float32)
            policy.answer[3, 2] = np.nan

    policy.on_act = spoil
    faults = []
    for tick in range(20, 40):
        robot.tick(loop, tick * PERIOD_NS)
        result = loop.step(tick * PERIOD_NS)
        assert np.isfinite(result.timeline.positions_rad).all()
        faults.append(result.fault)
        if result.fault:
            assert result.timeline.empty
            break
    assert faults[-1]
    assert len(policy.seen) == step + 1


def test_a_policy_slower_than_its_chunk_never_moves_the_arm_and_says_why(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    horizon = contract.action.horizon
    inference = Inline(policy, (horizon + 1) * PERIOD_NS)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS), inference=inference)
    for tick in range(20, 20 + 3 * horizon):
        robot.tick(loop, tick * PERIOD_NS)
        result = loop.step(tick * PERIOD_NS)
        assert result.timeline.empty
        assert not result.fault
        assert "waiting for the first chunk" in str(result.refusal)
    assert loop.late_steps == 2 * horizon
    assert len(policy.seen) == 3


def test_deltas_start_from_the_command_that_the_door_sent_and_go_on_from_the_own_plan(
    contract: Contract,
) -> None:
    contract = of(contract, "delta")
    policy, robot = Seeing(contract), Robot(contract)
    policy.answer = np.full((16, 7), 0.01, np.float32)
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 1))
    robot.tick(loop, 20 * PERIOD_NS)
    result = loop.step(20 * PERIOD_NS)
    assert result.timeline.empty
    assert "no command in force yet" in str(result.refusal)
    loop.command_sent(20 * PERIOD_NS - CONTROL_NS, np.full(7, 1.0))
    loop.command_sent(20 * PERIOD_NS + CONTROL_NS, np.full(7, 5.0))
    first = loop.step(20 * PERIOD_NS).timeline
    arm = contract.robot.slices["arm"]
    np.testing.assert_allclose(first.positions_rad[0, arm], 1.01, rtol=1e-6)
    loop.command_sent(21 * PERIOD_NS - CONTROL_NS, np.full(7, 9.0))
    robot.tick(loop, 21 * PERIOD_NS)
    second = loop.step(21 * PERIOD_NS).timeline
    np.testing.assert_allclose(second.positions_rad[0, arm], 1.02, rtol=1e-6)


def test_a_reset_throws_a_running_step_away_and_forgets_the_streams(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    robot.tick(loop, 20 * PERIOD_NS)
    policy.on_act = loop.reset
    result = loop.step(20 * PERIOD_NS)
    assert result.timeline.empty
    assert "reset" in str(result.refusal)
    policy.on_act = lambda: None
    assert loop.silent_streams
    assert loop.reached_tick_ns() is None
    robot.tick(loop, 21 * PERIOD_NS)
    assert not loop.step(21 * PERIOD_NS).timeline.empty
    assert policy.resets == [None]


def test_beginning_again_at_the_same_tick_forgets_the_chunks_and_keeps_the_streams(
    contract: Contract,
) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    robot.tick(loop, 20 * PERIOD_NS)
    first = loop.step(20 * PERIOD_NS)
    loop.begin()
    again = loop.step(20 * PERIOD_NS)
    assert loop.reached_tick_ns() == 20 * PERIOD_NS
    np.testing.assert_array_equal(first.timeline.positions_rad, again.timeline.positions_rad)


def test_the_policy_hears_why_it_is_reset_and_each_occasion_once(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    told: list[list[str | None]] = []
    for tick, occasions in enumerate((["engage"], [], ["request"], ["request", "engage", "engage"]), start=20):
        for occasion in occasions:
            loop.begin(occasion)
        policy.resets.clear()
        robot.tick(loop, tick * PERIOD_NS)
        assert loop.step(tick * PERIOD_NS).asked
        told.append(sorted(policy.resets, key=str))
    assert told == [["engage"], [], ["request"], ["engage", "request"]]
    policy.resets.clear()
    loop.reset("request")
    loop.reset()
    robot.tick(loop, 24 * PERIOD_NS)
    loop.step(24 * PERIOD_NS)
    assert set(policy.resets) == {"request", None}


def test_a_reset_during_a_tick_reaches_the_policy_with_the_next_tick_and_not_with_this_one(contract: Contract) -> None:
    """Else the new memory would begin with what was seen before the reset."""
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS))
    builder, build = loop._builder, loop._builder.build

    def reset_meanwhile(ticks: Sequence[AlignedTick]) -> Observation:
        loop.begin("engage")
        return build(ticks)

    robot.tick(loop, 20 * PERIOD_NS)
    builder.build = reset_meanwhile
    assert loop.step(20 * PERIOD_NS).timeline.empty
    assert policy.resets == []
    builder.build = build
    robot.tick(loop, 21 * PERIOD_NS)
    assert not loop.step(21 * PERIOD_NS).timeline.empty
    assert policy.resets == ["engage"]


def test_forgetting_drops_the_plan_and_every_chunk_but_not_the_memory(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 8))
    robot.tick(loop, 20 * PERIOD_NS)
    assert loop.step(20 * PERIOD_NS).asked
    robot.tick(loop, 21 * PERIOD_NS)
    assert not loop.step(21 * PERIOD_NS).asked
    loop.forget()
    robot.tick(loop, 22 * PERIOD_NS)
    assert loop.step(22 * PERIOD_NS).asked
    assert policy.resets == []


def test_another_policy_is_asked_at_the_next_tick_and_meets_the_plan_within_the_bound(contract: Contract) -> None:
    contract, bound = of(contract, "absolute"), 0.05
    policy, robot, generation = Seeing(contract), Robot(contract), [0]
    policy.answer = np.zeros((16, 7), np.float32)
    inference = Inline(policy, 0, lambda: generation[0])
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 8), Rules(max_jump_rad=bound), inference)
    path = []
    for tick in range(20, 40):
        robot.tick(loop, tick * PERIOD_NS)
        if tick == 23:
            policy.answer, generation[0] = np.full((16, 7), 0.5, np.float32), 1
            loop.ask_at_once()
        result = loop.step(tick * PERIOD_NS)
        assert result.asked == (tick in (20, 23, 31, 39))
        path.append(result.timeline.positions_rad[0])
    steps = np.abs(np.diff(path, axis=0))
    assert steps.max() <= bound * (1 + 1e-9)
    np.testing.assert_allclose(steps[2:12], bound)
    np.testing.assert_allclose(path[-1], 0.5)


def test_a_gap_in_the_ticks_empties_the_history(contract: Contract) -> None:
    contract = of(contract, history=2)
    robot, loop = Robot(contract), PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
    held = []
    for tick in (20, 21, 23, 24):
        robot.tick(loop, tick * PERIOD_NS)
        held.append(loop.step(tick * PERIOD_NS).timeline.empty)
    assert held == [True, False, True, False]


def test_a_lead_of_nothing_is_refused(contract: Contract) -> None:
    with pytest.raises(LearnedArmError, match="1 tick or more"):
        PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS), Rules(lead_ticks=0))


def test_in_lock_step_an_added_latency_is_simulated_time(contract: Contract) -> None:
    """A chunk asked at t is there at t + ceil(latency / period), without the steps that are consumed by then."""
    late_ns, held = PERIOD_NS * 5 // 2, []
    policy, robot = Seeing(contract), Robot(contract)
    rules = Rules(max_jump_rad=100.0)
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 8), rules, Inline(policy, late_ns))
    for tick in range(20, 32):
        robot.tick(loop, tick * PERIOD_NS)
        result = loop.step(tick * PERIOD_NS)
        assert result.asked == (tick in (20, 28))
        held.append(result.timeline.empty)
        if tick < 23:
            assert "waiting for the first chunk" in str(result.refusal)
            continue
        made = 20 if tick < 31 else 28
        reference = robot.measured[made * PERIOD_NS]
        labels = Seeing(contract).act(policy.seen[0 if made == 20 else 1])
        targets = ActionCodec(contract).decode(labels, Reference(reference, reference))
        np.testing.assert_array_equal(result.timeline.positions_rad, targets[tick - made : tick - made + 4])
        assert result.timeline.stamps_ns[0] == (tick + 1) * PERIOD_NS
        assert result.phase is Phase.PLAYING
    assert held == [True] * 3 + [False] * 9
    assert loop.late_steps == 6
    assert loop.latency_ns == late_ns


def test_a_reset_kills_the_chunk_in_flight(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS), Rules(), Inline(policy, 2 * PERIOD_NS))
    asked = []
    for tick in range(20, 26):
        robot.tick(loop, tick * PERIOD_NS)
        if tick == 21:
            loop.begin()
        result = loop.step(tick * PERIOD_NS)
        asked.append(result.asked)
        assert result.timeline.empty == (tick < 23)
    assert asked == [True, True, False, True, False, True]
    assert policy.resets == [None]


def test_a_model_that_hangs_delays_its_chunk_and_not_the_schedule(contract: Contract) -> None:
    """In real time the plan in force goes on, is held for its bound, and ends; a reset drops what comes late."""
    policy, robot = Seeing(contract), Robot(contract)
    worker = Worker(policy)
    loop = PolicyLoop(policy, RecedingHorizon(PERIOD_NS, 2), Rules(hold_ticks=2), worker)
    goes_on = threading.Event()

    def step(tick: int) -> TickResult:
        robot.tick(loop, tick * PERIOD_NS, receive_ns=tick)
        return loop.step(tick * PERIOD_NS, now_ns=tick)

    try:
        tick = 20
        while step(tick).timeline.empty:  # the model's first answer may take longer than a tick waits
            tick += 1
        policy.on_act = lambda: goes_on.wait(10.0)
        phases = [step(tick + 1 + k).phase for k in range(20)]
        assert len(policy.seen) == 2
        changes = [phase for k, phase in enumerate(phases) if k == 0 or phase is not phases[k - 1]]
        assert changes == [Phase.PLAYING, Phase.HOLDING, Phase.RUN_OUT]
        assert phases.count(Phase.HOLDING) == 2
        last = step(tick + 21)
        assert "held for 2 ticks, then stopped" in str(last.refusal)
        assert not last.fault
        loop.reset()
        tick += 22
        assert step(tick).asked
        policy.answer = np.full((16, 7), 0.5, np.float32)
        goes_on.set()
        while (result := step(tick := tick + 1)).timeline.empty:
            pass
        gripper = contract.robot.slices["gripper"]
        np.testing.assert_array_equal(result.timeline.positions_rad[:, gripper], 0.5)
    finally:
        goes_on.set()
        loop.close()


def test_a_policy_that_fails_in_its_thread_is_a_fault_of_the_tick_that_hears_of_it(contract: Contract) -> None:
    policy, robot = Seeing(contract), Robot(contract)
    policy.answer = np.full((16, 7), np.nan, np.float32)
    loop = PolicyLoop(policy, TemporalEnsemble(PERIOD_NS), Rules(), Worker(policy))
    try:
        tick, result = 20, TickResult(0)
        while not result.fault:
            robot.tick(loop, tick * PERIOD_NS)
            result = loop.step(tick * PERIOD_NS, now_ns=0)
            assert result.timeline.empty
            tick += 1
        assert "not finite" in str(result.refusal)
    finally:
        loop.close()


def test_stamps_that_lie_are_refused_and_what_was_seen_is_forgotten(contract: Contract) -> None:
    now_ns = 100 * 10**9
    topics = [camera.topic for camera in contract.cameras.values()] + ["/joint_states"]
    for off_ns, words in ((10 * 10**9, "stamped in the future"), (-10 * 10**9, "stamps run backward")):
        for lying in topics:
            loop = PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
            for topic in topics:
                assert loop.push(topic, now_ns, 0, b"", now_ns)
            assert loop.silent_streams == []
            with pytest.raises(TimeFaultError, match=words):
                loop.push(lying, now_ns + off_ns, 0, b"", now_ns)
            assert len(loop.silent_streams) == len(topics), "nothing tells which stamps were true"
            # One lie poisons nothing: what comes next is taken.
            assert loop.push(lying, now_ns + PERIOD_NS, 0, b"", now_ns + PERIOD_NS)


def test_a_frame_that_was_overtaken_is_dropped_and_counted_and_no_lie(contract: Contract) -> None:
    loop, topic, now_ns = PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS)), "/front/image_raw", 100 * 10**9
    assert loop.push(topic, now_ns, 0, b"", now_ns)
    assert not loop.push(topic, now_ns - PERIOD_NS, 0, b"", now_ns)
    assert loop.out_of_order["camera:front"] == 1 and "camera:front" not in loop.silent_streams


def test_in_lock_step_and_offline_the_stamps_are_the_time(contract: Contract) -> None:
    loop = PolicyLoop(Seeing(contract), TemporalEnsemble(PERIOD_NS))
    assert loop.push("/joint_states", 10**9, 0, b"") and loop.push("/joint_states", 10**12, 0, b"")
    assert not loop.push("/joint_states", 10**9, 0, b"")

"""The whole system over DDS: what was recorded is complete, replays, and is what a policy would have seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from data_recorder.bag_reader import BagReader
from demo_tools.dataset.manifest import Manifest
from demo_tools.dataset.ticks import read_episode_ticks
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.replay import replay_direct
from demo_tools.flow import stages
from demo_tools.flow.lead import Recorded
from demo_tools.replay.diagnosis import Cause
from demo_tools.replay.many import beside
from demo_tools.replay.verdict import Verdict
from demo_tools.sweep.command import run_sweep
from demo_tools.sweep.designs import LabelDesign
from demo_tools.training import ExportedPolicy
from learned_arm import cdr
from learned_arm.alignment import AlignedTick, Aligner
from learned_arm.contract import Contract
from learned_arm.durable import read_json, write_json
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.observation import ObservationBuilder, digest

pytestmark = [pytest.mark.ros, pytest.mark.unhurried]


def ignore(_outcome: str) -> None:
    pass


def test_the_scripted_expert_is_recorded_without_losing_a_message(recorded: list[Recorded]) -> None:
    assert [each.outcome for each in recorded] == ["success"] * len(recorded)
    assert [each.lost for each in recorded] == [0] * len(recorded)
    for each in recorded:
        # Every node publishes its own parameter events.
        assert set(load_episode(each.folder).uncounted) <= {"/parameter_events"}


def test_the_outcome_is_what_the_success_topic_said(recorded: list[Recorded], rollout: Path) -> None:
    for folder in [*(each.folder for each in recorded), rollout]:
        said = [cdr.read_bool(each.data) for each in BagReader(folder).messages(["/task/success"])]
        assert load_episode(folder).outcome == ("success" if any(said) and said[-1] else "failure")


def test_an_independent_reader_finds_every_message(recorded: list[Recorded]) -> None:
    for each in recorded:
        with AnyReader([each.folder]) as reader:
            connections = [entry for entry in reader.connections if not entry.topic.startswith("/recorder_node/")]
            found = sum(1 for _ in reader.messages(connections))
        assert found == load_episode(each.folder).messages


def test_every_actuator_is_recorded_as_requested_sent_and_measured(recorded: list[Recorded]) -> None:
    streams = load_episode(recorded[0].folder).streams
    for topic in (
        "/arm/requested",
        "/arm/sent",
        "/joint_states",
        "/front/image_raw",
        "/wrist/image_raw",
        "/task/success",
    ):
        assert streams[topic].messages > 0, topic


def test_clock_and_stamps_only_grow(recorded: list[Recorded]) -> None:
    bag = BagReader(recorded[1].folder)
    stamps = [cdr.header_stamp_ns(each.data) for each in bag.messages(["/joint_states"])]
    assert (np.diff(stamps) == 10_000_000).all(), "a control tick is missing or doubled"


def test_the_labels_of_every_demonstration_replay(recorded: list[Recorded], replays: list[dict[str, str]]) -> None:
    assert [row["verdict"] for row in replays] == ["passed"] * len(recorded), replays
    for each in recorded:
        verdict = Verdict.load(each.folder)
        assert verdict is not None
        assert verdict.messages_hash == load_episode(each.folder).messages_hash
        assert verdict.tracking["first_divergence"] is None
        assert verdict.judgement["latched"]
        assert verdict.judgement["at_end"]
        # The robot that replays is the one that was recorded.
        assert (verdict.preflight["S3"], verdict.preflight["S2"]) == ([], []), verdict.preflight
        assert all(then == now for then, now in verdict.watch["lag_ms"].values())


def test_a_replay_in_one_process_goes_as_the_one_over_dds(
    contract: Contract, recorded: list[Recorded], replays: list[dict[str, str]]
) -> None:
    arm = DirectArm(contract)
    for each, told in zip(recorded, replays, strict=True):
        over_dds = Verdict.load(each.folder)
        assert over_dds is not None
        direct = replay_direct(arm, load_episode(each.folder), read_episode_ticks(each.folder, contract, images=False))
        assert (direct.verdict, direct.reason) == (told["verdict"], told["reason"])
        assert direct.tracking["ticks"] == over_dds.tracking["ticks"]
        # Over DDS the lease may come a tick later, to an arm that has settled for that much longer.
        for joint, here in direct.tracking["joints"].items():
            assert here["max_rad"] == pytest.approx(over_dds.tracking["joints"][joint]["max_rad"], abs=1e-5)


def test_designs_are_told_apart_and_a_sweep_that_was_cut_off_goes_on(recorded: list[Recorded], tmp_path: Path) -> None:
    folders = [each.folder for each in recorded[:2]]
    good, bad = LabelDesign("sent", "chunk_relative", 20), LabelDesign("measured_next", "step_relative", 20)
    assert run_sweep(folders, tmp_path, 1, [bad]) == 1
    alone = read_json(tmp_path / "sweep.json")
    assert alone["recommended"] is None
    assert run_sweep(folders, tmp_path, 2, [good, bad]) == 0
    table = read_json(tmp_path / "sweep.json")
    assert table["recommended"] == good.name and table["rows"][1:] == alone["rows"]
    assert [each["passed"] for each in table["rows"]] == [2, 0]
    with pytest.raises(LearnedArmError, match="another sweep is here"):
        run_sweep(folders[:1], tmp_path, 1, [good])


def altered(source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """A copy of an episode with changes of `episode.json` and of what ran when it started."""
    copy = target / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("replay.json"))
    episode, provenance = read_json(copy / "episode.json"), read_json(copy / "provenance.json")
    change(episode, provenance["start"])
    write_json(copy / "episode.json", episode)
    write_json(copy / "provenance.json", provenance)
    return copy


def test_a_replay_is_refused_or_fails_for_its_reason_and_says_what_it_tests(
    contract: Contract, recorded: list[Recorded], tmp_path: Path
) -> None:
    first, second = (load_episode(each.folder) for each in recorded[:2])
    assert second.initial_state is not None
    elsewhere = list(second.initial_state.sim_state or ())
    folders = [
        altered(recorded[0].folder, tmp_path / name, change)
        for name, change in {
            "moved": lambda episode, _ran: episode["initial_state"].update(sim_state=elsewhere),
            "claimed": lambda episode, _ran: episode.update(outcome="failure"),
            "another robot": lambda _episode, ran: ran["joint_names"]["/joint_states"]["names"].reverse(),
            "another controller": lambda _episode, ran: ran["parameters"]["/arm_node"]["values"].update(
                contract_hash="0" * 64
            ),
        }.items()
    ]
    moved, claimed, robot, controller = stages.replay_simulated(
        contract, [beside(folder) for folder in folders], 1, ignore
    )
    assert moved["verdict"] == "refused"
    assert "initial state not reached" in moved["reason"] and "_joint" in moved["reason"]
    assert (claimed["verdict"], claimed["reason"]) == ("failed", f"recorded failure, replayed {first.outcome}")
    assert robot["verdict"] == "refused"
    assert "another robot than was recorded: joint_names" in robot["reason"]
    assert controller["verdict"] == "passed"
    said = [Verdict.load(folder) for folder in folders]
    assert said[0] is not None and said[0].diagnosis[0]["cause"] == Cause.INITIAL_STATE
    assert said[2] is not None and said[2].preflight["S3"] and not said[2].tracking
    assert said[3] is not None and not said[3].preflight["S3"]
    (tests,) = said[3].preflight["S2"]
    assert "/arm_node > contract_hash" in tests


def test_a_dataset_holds_what_passed_and_a_policy_knows_it(
    recorded: list[Recorded], manifest: Manifest, policy: ExportedPolicy
) -> None:
    assert sorted(each.name for each in manifest.episodes) == sorted(each.folder.name for each in recorded)
    assert {each.verdict for each in manifest.episodes} == {"passed"}
    assert policy.lineage.made_from["dataset"] == manifest.hash
    assert policy.parity_max_abs < 1e-4


def test_a_rollout_is_an_episode_linked_to_its_policy(rollout: Path, policy: ExportedPolicy) -> None:
    episode = load_episode(rollout)
    assert episode.policy == policy.hash
    assert episode.lost_messages == 0


def test_live_and_offline_observations_are_bit_equal(rollout: Path, contract: Contract) -> None:
    builder = ObservationBuilder(contract)
    aligner = Aligner(contract, capacity=100_000)
    told: list[tuple[int, dict[str, int], str]] = []
    for message in BagReader(rollout).messages([*aligner.topics, "/policy_node/ticks"]):
        if message.topic == "/policy_node/ticks":
            view = cdr.read_joint_state(message.data)
            entries = dict(name.rsplit("@", 1) for name in view.names)
            seen = entries.pop("observation")
            told.append((view.stamp_ns, {stream: int(stamp) for stream, stamp in entries.items()}, seen))
        else:
            aligner.push(message.topic, cdr.header_stamp_ns(message.data), 0, message.data)
    # The policy may answer a tick whose frames came just before the recording began.
    began_ns = {name: buffer.oldest_stamp_ns for name, buffer in aligner.buffers.items()}
    told = [each for each in told if all(stamp >= (began_ns[name] or 0) for name, stamp in each[1].items())]
    assert len(told) >= 20
    for tick_ns, stamps_ns, seen in told:
        rebuilt = aligner.at_stamps(tick_ns, stamps_ns)
        assert isinstance(rebuilt, AlignedTick), rebuilt
        assert digest(builder.build([rebuilt])) == seen
        # In lock-step nothing is late, so the rule alone finds the same samples without being told.
        ruled = aligner.sample(tick_ns)
        assert isinstance(ruled, AlignedTick)
        assert ruled.stamps_ns == stamps_ns


def test_the_dataset_builder_sees_the_same_ticks(recorded: list[Recorded], contract: Contract) -> None:
    ticks = read_episode_ticks(recorded[0].folder, contract, images=False)
    assert (np.diff(ticks.ticks_ns) == contract.period_ns).all()
    assert len(ticks.ticks_ns) > 60

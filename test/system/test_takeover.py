"""A person takes over from a policy in mid-episode, over DDS: recorded, replayed, and learned from as what it was."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.policy_model import write_policy
from data_recorder.bag_reader import BagReader
from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.frames import load_frames
from demo_tools.dataset.gate import Gate
from demo_tools.flow import lead, stages
from demo_tools.flow.operator import Operator, RefusedError
from demo_tools.flow.stack import NODES as MODULES
from demo_tools.inspect import inspect_path
from demo_tools.replay.many import beside
from demo_tools.training.data import build_chunks
from learned_arm import cdr
from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.durable import write_json
from learned_arm.episode import Episode, load_episode

pytestmark = [pytest.mark.ros, pytest.mark.unhurried]

NODES = (lead.SIM, lead.ARM, lead.RECORDER, lead.POLICY, lead.EXPERT)
SEED = 3


@dataclass(frozen=True)
class Rollout:
    """What was recorded, and what the nodes said.

    Attributes:
        folder: The episode.
        policy: Hash of the policy.
        while_recording: Statuses by node after the person let go, before the recording ended.
        refused: What the policy was told when it asked for the lease while the person had it.
        engaged_again: Status of the door after the policy was asked to go on.
    """

    folder: Path
    policy: str
    while_recording: dict[str, dict[str, str]]
    refused: str
    engaged_again: dict[str, str]


def roll_out(spawn: Any, contract: Contract, folder: Path, *, lock_step: bool) -> Rollout:
    """The policy begins, the scripted operator takes over, solves the task and lets go.

    In lock-step the lease is taken from the policy in mid-motion; in real time it has let go, and nobody commands for
    half a second.
    """
    model, path = folder / "policy.onnx", folder / "contract.yaml"
    write_policy(model, contract, largest_label_rad=0.1)
    write_json(path, contract.canonical())
    own: dict[str, dict[str, object]] = {
        "recorder_node": {"root": folder / "demos"},
        "policy_node": {"model": model, "auto_activate": True},
    }
    for node in NODES:
        name = node.strip("/")
        spawn.node(MODULES[name], contract=path, use_sim_time=lock_step, **own.get(name, {}))
    policy = sha256_hex(model.read_bytes())
    with Operator(spawn.domain_id, lambda: None) as operator:
        lead.meet(operator, *NODES)
        statuses = operator.statuses

        def holder() -> str:
            return statuses[lead.ARM].get("holder", "unknown")

        lead.reset_simulation(operator, SEED)
        started = {"operator": "somebody", "policy": policy, "notes": ""}
        operator.trigger(lead.RECORDER, "start", started, patience_s=10.0)
        operator.switch(lead.POLICY, "engage", True)
        operator.wait(lambda: statuses[lead.ARM].get("state") == "engaged", 20.0, "the policy to move the arm")
        begun = operator.success_count
        operator.wait(lambda: operator.success_count >= begun + 12, 30.0, "the policy to go on")
        if not lock_step:
            operator.switch(lead.POLICY, "engage", False)
            operator.spin_for(0.5)
        number = operator.trigger(lead.EXPERT, "start").split()[-1]
        operator.wait(lambda: holder() == "teleop", 20.0, "the person to take over")
        try:
            # It may not have heard yet that the lease is gone; then it says that it has it, and asks nobody.
            refused = operator.switch(lead.POLICY, "engage", True)
        except RefusedError as error:
            refused = str(error)
        ended = ("done", "failed")
        operator.wait(lambda: statuses[lead.EXPERT].get("state") in ended, 60.0, "the person to be done")
        assert statuses[lead.EXPERT] == {"state": "done", "reason": "released by teleop", "episode": number}
        before = operator.success_count
        operator.wait(lambda: operator.success_count >= before + 10, 20.0, "time in which nobody commands")
        operator.wait(lambda: statuses[lead.POLICY].get("engaged") == "False", 5.0, "the policy's status")
        said = {node: dict(statuses[node]) for node in NODES}
        assert operator.succeeds_now
        name = operator.trigger(lead.RECORDER, "success", {"reason": "corrected"})
        operator.wait(
            lambda: (
                statuses[lead.RECORDER].get("state") == "idle" and statuses[lead.RECORDER].get("episode_name") == name
            ),
            30.0,
            "the episode",
        )
        operator.switch(lead.POLICY, "engage", True)
        operator.wait(lambda: holder() == "policy" and statuses[lead.ARM]["state"] == "engaged", 10.0, "the policy")
        return Rollout(Path(statuses[lead.RECORDER]["episode"]), policy, said, refused, dict(statuses[lead.ARM]))


def patient(contract: Contract) -> Contract:
    """Streams may come late, as they do where many processes share few cores; a pause of half a second is still one."""
    states = tuple(replace(each, max_age_s=1.0) for each in contract.robot.joint_states)
    cameras = {name: replace(each, max_age_s=0.5) for name, each in contract.cameras.items()}
    robot = replace(contract.robot, joint_states=states)
    return replace(contract, robot=robot, cameras=cameras, state_max_age_s=0.25)


def commands(folder: Path) -> list[cdr.JointStateView]:
    return [cdr.read_joint_state(each.data) for each in BagReader(folder).messages(["/arm/sent"])]


@pytest.mark.parametrize("lock_step", [True, pytest.param(False, marks=pytest.mark.prove)])
def test_a_takeover_from_the_policy_to_the_dataset(
    spawn: Any, contract: Contract, tmp_path: Path, lock_step: bool
) -> None:
    contract = contract if lock_step else patient(contract)
    rollout = roll_out(spawn, contract, tmp_path, lock_step=lock_step)
    spawn.stop()

    # The person wins, the policy is refused meanwhile and does not go on by itself.
    assert "the lease is taken" in rollout.refused or "engaged already" in rollout.refused
    door, policy = rollout.while_recording[lead.ARM], rollout.while_recording[lead.POLICY]
    assert (door["holder"], door["state"]) == ("", "ready")
    assert door["refused_targets"] == "0" or not lock_step, "in real time a target of the person's may come too late"
    assert policy["engaged"] == "False" and policy["fault"] == ""
    assert rollout.while_recording[lead.RECORDER]["interventions"] == "1"
    assert rollout.engaged_again["holder"] == "policy"

    # The episode says what its commands say.
    episode: Episode = load_episode(rollout.folder)
    sent = commands(rollout.folder)
    by_person = [view.stamp_ns for view in sent if view.frame_id == "teleop"]
    turns = [sent[0].frame_id, *(b.frame_id for a, b in itertools.pairwise(sent) if a.frame_id != b.frame_id)]
    if not turns[0]:
        del turns[0]  # the bag may begin while nobody commands yet
    assert turns == (["policy", "teleop", ""] if lock_step else ["policy", "", "teleop", ""])
    assert episode.policy == rollout.policy and episode.outcome == "success" and episode.lost_messages == 0
    assert [vars(each) for each in episode.interventions] == [
        {"source": "teleop", "start_ns": by_person[0], "end_ns": by_person[-1]}
    ]
    assert "/arm_node/status" in episode.streams and "/policy_node/status" in episode.streams
    requests = [cdr.read_joint_state(each.data) for each in BagReader(rollout.folder).messages(["/arm/requested"])]
    assert {view.frame_id for view in requests} == {"policy", "teleop"}
    assert f"teleop for {(by_person[-1] - by_person[0]) / 1e9:.2f} s" in inspect_path(rollout.folder)

    named = [view for view in sent if view.names]
    if lock_step:
        # Taken over in mid-motion the arm does not jump.
        speed = np.diff(np.array([view.position for view in named]), axis=0) / 0.01
        seam = next(index for index, view in enumerate(named) if view.frame_id == "teleop")
        assert np.abs(speed[seam - 2]).max() > 0.01, "the arm moves when it is taken over"
        change = np.abs(np.diff(speed, axis=0)) / 0.01
        assert (change <= contract.robot.limit("acceleration_rad_s2") * (1 + 1e-6)).all()

        # The labels replay, the policy's and the person's in one.
        (verdict,) = stages.replay_simulated(contract, [beside(rollout.folder)], 1, lambda _: None)
        assert verdict["verdict"] == "passed", verdict

    # The dataset holds the person's frames and no other.
    manifest = build_dataset(
        [rollout.folder], contract, tmp_path / "dataset", gate=Gate(allow_unreplayed=not lock_step)
    )
    frames = load_frames(tmp_path / "dataset")
    period_ns, last_ns = contract.period_ns, named[-1].stamp_ns
    first_ns = next(view.stamp_ns for view in named)
    ticks_ns = range(-(-first_ns // period_ns) * period_ns, last_ns + 1, period_ns)
    stamps_ns = np.array([view.stamp_ns for view in sent])
    in_force = [np.searchsorted(stamps_ns, min(tick + period_ns, last_ns), side="right") - 1 for tick in ticks_ns]
    expected = [tick for tick, at in zip(ticks_ns, in_force, strict=True) if sent[at].frame_id == "teleop"]
    assert frames.stamp_ns.tolist() == expected
    assert manifest.frames_by_source == {"teleop": len(expected)} and manifest.left_out["policy"] >= 10
    assert (build_chunks(frames, [0]).weight == 1).all(), "it rests where the person let go"
    told = inspect_path(tmp_path / "dataset")
    assert f"{len(expected)} teleop" in told and f"{manifest.left_out['policy']} policy" in told

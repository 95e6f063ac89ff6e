"""A task that needs memory, through the whole flywheel: with memory it is solved, without it is guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data_recorder.bag_reader import BagReader
from demo_tools.dataset.build import build_dataset
from demo_tools.flow import stages
from demo_tools.flow.run_folder import RunFolder
from demo_tools.simulation.cue import PADS
from demo_tools.training import ExportedPolicy, Recipe, export_policy, known_recipe, train
from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import load_episode
from learned_arm.observation import Observation
from learned_policy_node.chunking import TemporalEnsemble
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.onnx_policy import OnnxPolicy

pytestmark = pytest.mark.ros

MEMORY, CHANCE = 64, 1 / len(PADS)
LIMIT_S = 6.0


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        episodes: Demonstrations.
        iterations: Batches of eight whole episodes with memory, without of as many chunks.
        trials: Held-out initial states; of each pad as many.
        workers: Stacks of nodes side by side.
    """

    episodes: int
    iterations: int
    trials: int
    workers: int


LOOK = Plan(episodes=2, iterations=3, trials=1, workers=1)
PROOF = Plan(episodes=90, iterations=600, trials=60, workers=2)


def ignore(_outcome: str) -> None:
    """Progress that nobody watches."""


def prepare(run: RunFolder, contract: Contract, plan: Plan) -> int:
    """Record and replay demonstrations, make a dataset of those that passed; returns its frames."""
    with run.stage("record"):
        episodes = stages.record(run, contract, plan.episodes, plan.workers, ignore)
    assert all(each.outcome == "success" and each.lost == 0 for each in episodes)
    folders = [each.folder for each in episodes]
    with run.stage("replay"):
        replays = stages.replay(run, contract, folders, plan.workers, ignore)
    assert all(each["verdict"] == "passed" for each in replays), replays
    with run.stage("dataset"):
        return build_dataset(folders, contract, run / "dataset").frames


def learn(run: RunFolder, plan: Plan, frames: int, memory: int) -> ExportedPolicy:
    """Train on the same data for as many iterations of as many chunks, whether with memory or without."""
    name = f"memory_{memory}"
    recipe = replace(known_recipe(MEMORY), memory=memory, batch=round(Recipe().episodes * frames / plan.episodes))
    with run.stage(f"train {name}"):
        train(run / "dataset", run / name, iterations=plan.iterations, threads=2, recipe=recipe)
    return export_policy(run / name, run / "dataset", run / f"{name}.onnx")


def evaluate(run: RunFolder, contract: Contract, plan: Plan, policy: ExportedPolicy, name: str) -> dict[str, Any]:
    """Roll a policy out over DDS, from initial states that no demonstration had."""
    with run.stage(f"evaluate {name}"):
        return stages.evaluate(
            RunFolder(run / f"evaluate_{name}"),
            contract,
            policy.path,
            policy.hash,
            plan.trials,
            plan.workers,
            ignore,
            limit_s=LIMIT_S,
        )


@pytest.fixture(scope="module")
def cued() -> Contract:
    return load_contract("reach_cued")


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory, cued: Contract) -> tuple[ExportedPolicy, Path]:
    """A policy with memory that has hardly learned anything, and the episode of one rollout of it."""
    run = RunFolder(tmp_path_factory.mktemp("look"))
    policy = learn(run, LOOK, prepare(run, cued, LOOK), MEMORY)
    statement = evaluate(run, cued, LOOK, policy, "look")
    return policy, run / "evaluate_look" / statement["trials"][0]["folder"]


@pytest.mark.prove
def test_a_policy_with_memory_goes_through_the_whole_flywheel(look: tuple[ExportedPolicy, Path]) -> None:
    policy, rollout = look
    assert policy.parity_max_abs < 1e-4
    episode = load_episode(rollout)
    assert episode.policy == policy.hash and episode.lost_messages == 0


class Forgetful(OnnxPolicy):
    """Begins anew at every step."""

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        self.reset()
        return super().act(observation, deadline_ns)


def relived(rollout: Path, contract: Contract, policy: OnnxPolicy) -> list[tuple[NDArray[np.float64], ...]]:
    """What the node sent at every tick of a rollout, and what a loop gives that steps the policy once a tick."""
    loop = PolicyLoop(policy, TemporalEnsemble(contract.period_ns))
    topics, pairs = (*loop.topics, "/arm/policy/targets"), []
    bag = BagReader(rollout).messages(topics)
    found = [(cdr.header_stamp_ns(each.data), topics.index(each.topic), each) for each in bag]
    for stamp_ns, index, message in sorted(found, key=lambda each: each[:2]):
        if index < len(loop.topics):
            loop.push(message.topic, stamp_ns, 0, message.data)
            continue
        pairs.append((cdr.read_joint_trajectory(message.data).positions, loop.step(stamp_ns).timeline.positions_rad))
    return pairs


@pytest.mark.prove
def test_the_node_steps_memory_once_a_tick(look: tuple[ExportedPolicy, Path], cued: Contract) -> None:
    exported, rollout = look
    pairs = relived(rollout, cued, OnnxPolicy(exported.path))
    assert len(pairs) > 40 and all(sent.size for sent, _ in pairs)
    for sent, again in pairs:
        np.testing.assert_allclose(sent, again, atol=1e-7)
    without = relived(rollout, cued, Forgetful(exported.path))
    assert max(float(np.abs(sent - again).max()) for sent, again in without) > 1e-5


@pytest.mark.prove
@pytest.mark.limit_s(3600)
def test_with_memory_the_cued_task_is_solved_and_without_it_is_guessed(tmp_path: Path, cued: Contract) -> None:
    run = RunFolder(tmp_path / "memory_pays")
    frames = prepare(run, cued, PROOF)
    rates = {}
    for memory in (MEMORY, 0):
        policy = learn(run, PROOF, frames, memory)
        rates[memory] = evaluate(run, cued, PROOF, policy, f"memory_{memory}")
    for memory, found in rates.items():
        low, high = found["wilson"]
        print(
            f"memory {memory:3d}: {found['successes']} of {found['count']} solved, "
            f"95 % interval {low:.0%} - {high:.0%}, chance {CHANCE:.0%}"
        )
    print("  ".join(f"{each['stage']} {each['seconds']:.0f} s" for each in run.read("stages.json")))
    assert rates[MEMORY]["successes"] >= 0.8 * PROOF.trials
    assert rates[0]["successes"] <= CHANCE * PROOF.trials

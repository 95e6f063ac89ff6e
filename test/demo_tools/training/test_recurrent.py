"""A network with memory: learned over whole episodes, exported tick by tick, and the only one that can remember."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from demo_tools.dataset.frames import Frames, load_frames
from demo_tools.training import ExportedPolicy, Recipe, export_policy, train
from demo_tools.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from demo_tools.training.data import Augmentation, build_chunks
from demo_tools.training.export_memory import MEMORY_OUT, walk_episodes
from demo_tools.training.model import PolicyNetwork
from demo_tools.training.recurrent import RecurrentNetwork, make_network
from demo_tools.training.sequences import WholeEpisodes, episode_rows
from demo_tools.training.trainer import Trainer, network_shape
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.onnx_policy import STATE, OnnxPolicy, camera_input

MEMORY = 12
SMALL = Recipe(memory=MEMORY, episodes=3, seed=3)
STILL = replace(SMALL, augmentation=Augmentation(0, 0.0))


@pytest.fixture(scope="module")
def frames(dataset: Path) -> Frames:
    torch.set_num_threads(1)
    return load_frames(dataset)


@pytest.fixture(scope="module")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedPolicy:
    out = tmp_path_factory.mktemp("recurrent")
    train(dataset, out, iterations=12, seed=1, threads=1, recipe=SMALL)
    return export_policy(out, dataset, out / "policy.onnx")


def network_of(frames: Frames, seed: int = 0) -> RecurrentNetwork:
    torch.manual_seed(seed)
    network = make_network(network_shape(frames.contract, MEMORY))
    assert isinstance(network, RecurrentNetwork)
    return network


def loss_of(network: RecurrentNetwork, examples: WholeEpisodes, picked: list[int]) -> float:
    with torch.no_grad():
        return sum(float(part) for part in examples.losses(network, np.array(picked), None))


def test_without_memory_the_network_is_the_plain_one(frames: Frames) -> None:
    assert type(make_network(network_shape(frames.contract))) is PolicyNetwork
    with pytest.raises(LearnedArmError, match="wrong size of memory"):
        Recipe(memory=-1)


def test_one_pass_over_an_episode_is_the_same_as_tick_by_tick(frames: Frames) -> None:
    network = network_of(frames)
    walk = walk_episodes(network, frames)
    memory = torch.zeros(1, walk.labels.shape[1], MEMORY)
    for tick, wanted in enumerate(walk.labels):
        inputs = [torch.from_numpy(np.ascontiguousarray(each[tick])) for each in walk.feed.values()]
        with torch.no_grad():
            labels, memory = network(*inputs, memory)
        np.testing.assert_allclose(labels.numpy(), wanted, atol=1e-5)
    assert np.abs(walk.memory[-1] - walk.memory[1]).max() > 1e-2


def test_episodes_are_taken_whole_and_in_order(frames: Frames) -> None:
    chunks = build_chunks(frames, [2, 0, 3])
    first, ticks = episode_rows(frames, chunks)
    lengths = np.diff(frames.starts)
    got = {int(chunks.frame[at]): int(count) for at, count in zip(first, ticks, strict=True)}
    assert got == {int(frames.starts[each]): int(lengths[each]) for each in (2, 0, 3)}


def test_episodes_of_unequal_length_side_by_side_count_as_each_alone(frames: Frames) -> None:
    network, chunks = network_of(frames), build_chunks(frames, [0, 1, 2, 3])
    examples = WholeEpisodes(frames, chunks, STILL)
    assert len({int(count) for count in episode_rows(frames, chunks)[1]}) > 1
    _, ticks = episode_rows(frames, chunks)
    alone = [loss_of(network, examples, [each]) for each in range(4)]
    together = loss_of(network, examples, [0, 1, 2, 3])
    assert together == pytest.approx(float(np.average(alone, weights=ticks)), rel=1e-5)


def test_memory_goes_on_where_the_gradient_is_cut(frames: Frames) -> None:
    chunks, gradients, losses = build_chunks(frames, [0, 1]), [], []
    for reach in (128, 5):
        network = network_of(frames)
        examples = WholeEpisodes(frames, chunks, replace(STILL, gradient_ticks=reach))
        parts = []
        for part in examples.losses(network, np.array([0, 1]), None):
            part.backward()
            parts.append(float(part.detach()))
        losses.append(sum(parts))
        gradients.append(network.core.get_parameter("weight_hh_l0").grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert not torch.allclose(gradients[0], gradients[1], rtol=1e-3)


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(frames: Frames, tmp_path: Path) -> None:
    recipe = replace(SMALL, iterations=4)
    whole, first, second = (Trainer(frames, recipe) for _ in range(3))
    for _ in range(4):
        whole.step()
    first.step()
    first.save(tmp_path / CHECKPOINT_FILE)
    second.load(tmp_path / CHECKPOINT_FILE)
    while second.iteration < 4:
        second.step()
    assert second.losses == whole.losses
    assert load_checkpoint(tmp_path / CHECKPOINT_FILE)["recipe"]["memory"] == MEMORY


def test_a_whole_episode_through_the_exported_file_is_what_torch_gives(
    exported: ExportedPolicy, dataset: Path, frames: Frames
) -> None:
    assert exported.parity_max_abs < 1e-5
    policy = OnnxPolicy(exported.path)
    assert policy.kind == "recurrent" and policy.self_test() < 1e-5
    network = network_of(frames)
    network.load_state_dict(load_checkpoint(exported.path.parent / CHECKPOINT_FILE)["average"])
    walk = walk_episodes(network.eval(), frames)

    def act(tick: int) -> np.ndarray:
        images = {name: walk.feed[camera_input(name)][tick, 0] for name in frames.contract.cameras}
        return policy.act(Observation(tick, images, walk.feed[STATE][tick, 0]))

    worst = max(float(np.abs(act(tick) - wanted[0]).max()) for tick, wanted in enumerate(walk.labels))
    print(f"torch against ONNX over {len(walk.labels)} ticks: {worst:.1e}")
    assert worst < 1e-5
    later = act(0)
    policy.reset("engage")
    first = act(0)
    assert np.abs(later - first).max() > 1e-5, "memory makes no difference"
    policy.reset("request")
    np.testing.assert_array_equal(act(0), first)


def test_the_file_says_what_its_memory_is_and_how_fast_it_steps(exported: ExportedPolicy) -> None:
    policy = OnnxPolicy(exported.path)
    memory = policy.signature.recurrent[0]
    assert memory.shape == (1, 1, MEMORY) and memory.initial == (0.0,)
    assert policy.signature.reset.on == ("engage", "request") and policy.signature.reset.every_steps is None
    assert policy.signature.step_ticks == 1
    assert policy.selftest.outputs[MEMORY_OUT].shape == (policy.selftest.cases, 1, 1, MEMORY)


def test_only_memory_can_tell_what_was_shown_at_the_start(frames: Frames) -> None:
    shown, errors = _shown_at_the_start(frames), {}
    for memory in (0, MEMORY):
        still = Augmentation(0, 0.0)
        recipe = Recipe(iterations=90, batch=48, learning_rate=4e-3, memory=memory, episodes=4, augmentation=still)
        trainer = Trainer(shown, recipe)
        errors[memory] = float(np.mean([trainer.step() for _ in range(90)][-10:]))
    print(f"normalised error without memory {errors[0]:.2f}, with {errors[MEMORY]:.2f}")
    # Most chunks are to be told from what was seen before, and without that the best guess is off by 1.
    assert errors[0] > 0.4 and errors[MEMORY] < 0.6 * errors[0]


def _shown_at_the_start(frames: Frames) -> Frames:
    """Twelve ticks each: bright or dark for two of them, grey from then on; the last six go up or down accordingly."""
    episodes, ticks = len(frames.starts) - 1, 12
    camera = {"front": replace(frames.contract.cameras["front"], size=(48, 48))}
    total, contract = episodes * ticks, replace(frames.contract, cameras=camera)
    dof, tick = contract.robot.dof, np.tile(np.arange(ticks), episodes)
    sign = np.repeat(np.where(np.arange(episodes) % 2, 1.0, -1.0), ticks)
    images = {}
    for name in camera:
        shown = np.full((total, 48, 48, 3), 128, np.uint8)
        shown[(tick < 2) & (sign > 0), 8:36] = 255
        shown[(tick < 2) & (sign < 0), 8:36, :24] = 0
        images[name] = shown
    action = np.where(tick >= 6, sign, 0.0)[:, None] * np.full((1, dof), 0.1)
    still = np.zeros((total, dof), np.float32)
    return replace(
        frames,
        contract=contract,
        images=images,
        state=still,
        commanded=still,
        action=action.astype(np.float32),
        stamp_ns=np.arange(total) * contract.period_ns,
        starts=np.arange(episodes + 1) * ticks,
    )

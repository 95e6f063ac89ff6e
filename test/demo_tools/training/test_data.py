"""Chunks are what the codec makes of the dataset; batches are what the policy node will feed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.frames import Frames, load_frames
from demo_tools.dataset.gate import Gate
from demo_tools.dataset.sources import SOURCE_NAMES
from demo_tools.training.data import SMALLEST_STD, Augmentation, build_chunks, normalisation, observations
from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError


@pytest.fixture(scope="module")
def frames(dataset: Path) -> Frames:
    return load_frames(dataset)


@pytest.mark.parametrize("representation", ["absolute", "delta", "chunk_relative", "velocity"])
def test_decoded_chunks_are_the_recorded_targets(frames: Frames, representation: str) -> None:
    contract = replace(frames.contract, action=replace(frames.contract.action, representation=representation))
    codec, horizon = ActionCodec(contract), contract.action.horizon
    chunks = build_chunks(replace(frames, contract=contract), [1])
    first, end = int(frames.starts[1]), int(frames.starts[2])
    assert chunks.frame.tolist() == list(range(first, end))
    for index in (0, 7, len(chunks) - 3, len(chunks) - 1):
        frame = int(chunks.frame[index])
        reference = Reference(frames.state[frame].astype(float), frames.commanded[frame].astype(float))
        wanted = frames.action[np.minimum(np.arange(frame, frame + horizon), end - 1)]
        np.testing.assert_allclose(codec.decode(chunks.labels[index], reference), wanted, atol=2e-6)


def test_labels_past_a_resting_end_count(frames: Frames) -> None:
    assert (build_chunks(frames, [0]).weight == 1).all()


def test_labels_past_a_moving_end_do_not_count(frames: Frames) -> None:
    short = replace(frames, starts=np.array([0, 12]))
    chunks = build_chunks(short, [0])
    horizon = frames.contract.action.horizon
    np.testing.assert_array_equal(chunks.weight.sum(axis=1), np.minimum(horizon, 12 - np.arange(12)))


def test_labels_that_another_source_commanded_do_not_count(frames: Frames) -> None:
    source = frames.source.copy()
    source[10:14] = SOURCE_NAMES.index("policy")
    chunks = build_chunks(replace(frames, source=source), [0])
    horizon = frames.contract.action.horizon
    for at, weight in enumerate(chunks.weight):
        seam = next((edge for edge in (10, 14) if at < edge), at + horizon)
        np.testing.assert_array_equal(weight, np.arange(horizon) < seam - at)


def test_where_the_policy_went_on_the_last_target_is_not_held(frames: Frames) -> None:
    episodes = list(frames.manifest.episodes)
    episodes[0] = replace(episodes[0], handed_over=True)
    handed = replace(frames, manifest=replace(frames.manifest, episodes=tuple(episodes)))
    chunks, horizon = build_chunks(handed, [0]), frames.contract.action.horizon
    left = int(frames.starts[1]) - np.arange(len(chunks))
    np.testing.assert_array_equal(chunks.weight.sum(axis=1), np.minimum(horizon, left))
    np.testing.assert_array_equal(chunks.labels, build_chunks(frames, [0]).labels)


def test_history_keeps_to_its_episode(dataset: Path, contract: Contract, tmp_path: Path) -> None:
    demos = sorted((dataset.parent / "demos/pick_cube").iterdir())
    longer = replace(contract, history=3)
    unproved = Gate(allow_unreplayed=True)
    build_dataset(demos[:2], longer, tmp_path / "history", gate=unproved, validation_share=0.0, workers=1)
    frames = load_frames(tmp_path / "history")
    chunks = build_chunks(frames, [0, 1])
    assert len(chunks) == len(frames) - 2 * 2
    images, state = observations(frames, chunks.frame[:1])
    assert images["front"].shape == (1, 3, 48, 48, 3) and state.shape == (1, 3, 7)
    np.testing.assert_array_equal(state[0], frames.state[:3])
    np.testing.assert_array_equal(images["wrist"][0], frames.images["wrist"][:3])


def test_normalised_labels_have_no_mean_and_no_joint_explodes(frames: Frames) -> None:
    chunks = build_chunks(frames, [0, 1, 2, 3])
    scales = normalisation(frames, chunks)
    unit = (chunks.labels - scales["label_mean"]) / scales["label_std"]
    np.testing.assert_allclose(unit.mean(axis=0), 0.0, atol=1e-4)
    assert (unit.std(axis=0) <= 1 + 1e-4).all()
    still = replace(frames, state=np.zeros_like(frames.state), action=np.zeros_like(frames.action))
    smallest = normalisation(still, build_chunks(still, [0]))
    assert (smallest["label_std"] >= SMALLEST_STD).all() and (smallest["state_std"] >= SMALLEST_STD).all()


def test_an_empty_split_is_an_error(frames: Frames) -> None:
    with pytest.raises(LearnedArmError, match="no chunk to learn from"):
        build_chunks(frames, [])


def test_a_shift_moves_pixels_and_repeats_the_edge() -> None:
    images = np.zeros((20, 1, 16, 16, 3), dtype=np.uint8)
    images[:, 0, 8, 8] = 255
    shifted = Augmentation(shift_px=4).shifted(images, np.random.default_rng(0))
    places = [tuple(int(axis[0]) for axis in np.nonzero(each[0, :, :, 0])) for each in shifted]
    assert all((each[0, :, :, 0] > 0).sum() == 1 for each in shifted)
    assert len(set(places)) > 10 and all(4 <= down <= 12 and 4 <= right <= 12 for down, right in places)
    flat = np.full((5, 2, 16, 16, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(Augmentation().shifted(flat, np.random.default_rng(0)), flat)
    still: Any = Augmentation(shift_px=0).shifted(images, np.random.default_rng(0))
    np.testing.assert_array_equal(still, images)

"""Labels: decoding what was encoded gives the targets back, in every representation; what is odd is refused."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import JOINT_REPRESENTATIONS, Contract, load_contract
from learned_arm.errors import LearnedArmError

SHIPPED = load_contract("pick_cube")
DOF = SHIPPED.robot.dof
GROUPS = [(), ("gripper",), ("arm",), ("arm", "gripper")]


def codec(representation: str, absolute_groups: tuple[str, ...] = ()) -> ActionCodec:
    content = copy.deepcopy(SHIPPED.canonical())
    content["action"].update(representation=representation, absolute_groups=list(absolute_groups))
    return ActionCodec(Contract.from_canonical(content))


CODECS = [codec(representation, groups) for representation, groups in itertools.product(JOINT_REPRESENTATIONS, GROUPS)]
SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, count: int) -> tuple[np.ndarray, Reference]:
    """Targets of a motion that may cross the whole range, and a reference that lags behind."""
    rng = np.random.default_rng(seed)
    targets = rng.uniform(-6.28, 6.28, (count, DOF))
    return targets, Reference(rng.uniform(-6.28, 6.28, DOF), rng.uniform(-6.28, 6.28, DOF))


@given(st.sampled_from(CODECS), SEEDS, st.integers(0, 20))
def test_decoding_is_the_inverse_of_encoding(each: ActionCodec, seed: int, count: int) -> None:
    targets, reference = drawn(seed, count)
    labels = each.encode(targets, reference)
    assert labels.dtype == np.float32 and labels.shape == targets.shape
    # A float32 of up to 4 pi is off by at most 2**-21; deltas add theirs up.
    np.testing.assert_allclose(each.decode(labels, reference), targets, rtol=0, atol=(count + 1) * 2**-21)


@given(st.sampled_from(CODECS), SEEDS, st.integers(1, 20))
def test_labels_survive_decoding_and_encoding(each: ActionCodec, seed: int, count: int) -> None:
    labels, reference = drawn(seed, count)
    labels = labels.astype(np.float32)
    again = each.encode(each.decode(labels, reference), reference)
    np.testing.assert_allclose(again, labels, rtol=0, atol=1e-5)


@given(SEEDS)
def test_each_representation_says_what_it_promises(seed: int) -> None:
    targets, reference = drawn(seed, 5)
    before = np.vstack([reference.commanded, targets[:-1]])
    expected = {
        "absolute": targets,
        "delta": targets - before,
        "velocity": (targets - before) / 0.05,
        "chunk_relative": targets - reference.measured,
    }
    assert set(expected) == set(JOINT_REPRESENTATIONS)
    for representation, labels in expected.items():
        np.testing.assert_array_equal(codec(representation).encode(targets, reference), labels.astype(np.float32))


@given(st.sampled_from(JOINT_REPRESENTATIONS), SEEDS)
def test_absolute_groups_stay_as_they_are(representation: str, seed: int) -> None:
    targets, reference = drawn(seed, 5)
    gripper = SHIPPED.robot.slices["gripper"]
    labels = codec(representation, ("gripper",)).encode(targets, reference)
    np.testing.assert_array_equal(labels[:, gripper], targets[:, gripper].astype(np.float32))


def test_times_count_from_the_offset() -> None:
    assert codec("delta").times_ns(1_000, 3).tolist() == [50_001_000, 100_001_000, 150_001_000]


ZEROS = np.zeros(DOF)
BAD_CHUNKS: list[tuple[Any, str]] = [
    (np.zeros(DOF), "wrong shape of a chunk"),
    (np.zeros((2, DOF - 1)), "wrong shape of a chunk"),
    (np.zeros((1, 2, DOF)), "wrong shape of a chunk"),
    (np.full((2, DOF), np.nan), "chunk not finite"),
    (np.full((2, DOF), -np.inf), "chunk not finite"),
]


@pytest.mark.parametrize("each", CODECS[::4], ids=JOINT_REPRESENTATIONS)
@pytest.mark.parametrize(("chunk", "words"), BAD_CHUNKS)
def test_an_odd_chunk_is_refused(each: ActionCodec, chunk: Any, words: str) -> None:
    for way in (each.encode, each.decode):
        with pytest.raises(LearnedArmError, match=words):
            way(chunk, Reference(ZEROS, ZEROS))


@pytest.mark.parametrize("bad", [np.zeros(DOF - 1), np.zeros(1), np.full(DOF, np.nan)])
def test_an_odd_reference_is_refused(bad: np.ndarray) -> None:
    chunk: Any = np.zeros((2, DOF))
    for reference, name in ((Reference(bad, ZEROS), "measured"), (Reference(ZEROS, bad), "commanded")):
        for each in CODECS[::4]:
            # Targets are what absolute labels are: nothing to be relative to.
            for way in (each.encode, each.decode) if each.representation != "absolute" else (each.encode,):
                with pytest.raises(LearnedArmError, match=f"{name}: unusable reference"):
                    way(chunk, reference)

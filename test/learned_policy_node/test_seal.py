"""A sealed policy file is the file that was written, byte by byte, or is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from benchmarks.faults.policy import write_circle
from benchmarks.faults.world import rig_contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import load_policy
from learned_policy_node.policy_file import read_policy_file
from learned_policy_node.seal import KEY, sealed


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "policy.onnx"
    write_circle(path, rig_contract())
    return path


def test_a_sealed_file_is_a_policy(policy: Path) -> None:
    load_policy(policy)


def test_any_flipped_bit_anywhere_is_refused(policy: Path, tmp_path: Path) -> None:
    data, rng = policy.read_bytes(), random.Random(0)
    path = tmp_path / "flipped.onnx"
    seal = data.rindex(KEY.encode())
    places = [*rng.sample(range(len(data)), 150), *range(seal - 4, len(data)), *range(40)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(LearnedArmError, match=r"altered after it was written|corrupt model"):
            read_policy_file(path)


def test_a_seal_that_is_gone_is_missed(policy: Path, tmp_path: Path) -> None:
    model = onnx.load(policy)
    del model.metadata_props[-1]
    path = tmp_path / "unsealed.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(LearnedArmError, match=r"altered after it was written; got seal \[\]"):
        read_policy_file(path)


def test_a_file_that_never_had_one_stands_on_its_self_test(make_model: Callable[..., Path]) -> None:
    assert load_policy(make_model()).tested


def test_sealing_changes_nothing_of_the_model(policy: Path) -> None:
    model = onnx.load(policy)
    del model.metadata_props[-1]
    assert sealed(model) == policy.read_bytes()

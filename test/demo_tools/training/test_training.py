"""Training lowers the loss, is repeatable and resumable; its export is the same function and knows where it belongs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.frames import load_frames
from demo_tools.dataset.manifest import Manifest
from demo_tools.training import Recipe, TrainingResult, export_policy, train
from demo_tools.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from demo_tools.training.export import ExportedPolicy, recorded_observations
from demo_tools.training.model import PolicyNetwork, SpatialSoftmax
from demo_tools.training.trainer import LOSS_FILE, Trainer, network_shape, schedule
from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.lineage import Statement
from learned_policy_node.onnx_policy import ACTION, OnnxPolicy, self_test

SMALL = Recipe(batch=16)


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    out = tmp_path_factory.mktemp("training")
    return out, train(dataset, out, iterations=120, seed=1, threads=1, recipe=SMALL)


@pytest.fixture(scope="module")
def exported(
    dataset: Path, trained: tuple[Path, TrainingResult], tmp_path_factory: pytest.TempPathFactory
) -> ExportedPolicy:
    return export_policy(trained[0], dataset, tmp_path_factory.mktemp("policy") / "policy.onnx")


def test_the_network_has_the_size_of_the_recipe(contract: Contract) -> None:
    size = sum(each.numel() for each in PolicyNetwork(network_shape(contract)).parameters())
    assert 0.2e6 < size < 0.35e6


def test_spatial_softmax_gives_the_place_of_a_peak() -> None:
    maps = torch.zeros(1, 1, 5, 9)
    maps[0, 0, 1, 6] = 100.0
    np.testing.assert_allclose(SpatialSoftmax(5, 9)(maps).numpy(), [[0.5, -0.5]], atol=1e-6)


def test_training_lowers_the_loss(trained: tuple[Path, TrainingResult]) -> None:
    out, result = trained
    assert result.iterations == 120 and result.train_loss < 0.7 * result.curve[0]["train"]
    assert result.validation_loss is not None and math.isfinite(result.validation_loss)
    written = json.loads((out / LOSS_FILE).read_text())
    assert written["curve"] == result.curve and written["recipe"]["seed"] == 1
    assert sorted(path.name for path in out.iterdir()) == sorted([CHECKPOINT_FILE, LOSS_FILE])


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(dataset: Path, tmp_path: Path) -> None:
    recipe = Recipe(iterations=8, batch=4, seed=3)
    torch.set_num_threads(1)
    frames = load_frames(dataset)
    whole = Trainer(frames, recipe)
    for _ in range(8):
        whole.step()
    first = Trainer(frames, recipe)
    for _ in range(3):
        first.step()
    first.save(tmp_path / CHECKPOINT_FILE)
    second = Trainer(frames, recipe)
    second.load(tmp_path / CHECKPOINT_FILE)
    while second.iteration < 8:
        second.step()
    assert second.losses == whole.losses
    for name, values in whole.average.state_dict().items():
        assert torch.equal(values, second.average.state_dict()[name]), name


def test_the_seed_decides(dataset: Path) -> None:
    torch.set_num_threads(1)
    frames = load_frames(dataset)
    losses = [[Trainer(frames, Recipe(batch=4, seed=seed)).step() for _ in range(1)] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_checkpoint_of_another_training_is_refused(dataset: Path, trained: tuple[Path, TrainingResult]) -> None:
    with pytest.raises(LearnedArmError, match="checkpoint of another recipe"):
        train(dataset, trained[0], iterations=121, seed=1, threads=1, recipe=SMALL)


def test_a_finished_training_is_not_trained_again(dataset: Path, trained: tuple[Path, TrainingResult]) -> None:
    again = train(dataset, trained[0], iterations=120, seed=1, threads=1, recipe=SMALL)
    assert again.iterations == 120 and again.curve == trained[1].curve


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(b"no checkpoint")
    with pytest.raises(LearnedArmError, match="checkpoint cannot be read"):
        load_checkpoint(path)


def test_a_time_limit_ends_a_training(dataset: Path, tmp_path: Path) -> None:
    result = train(dataset, tmp_path, iterations=1000, threads=1, recipe=SMALL, time_limit_s=0.0)
    assert result.iterations == 0


def test_the_rate_warms_up_and_ends_at_nothing() -> None:
    assert schedule(0.0, 0) < schedule(0.0, 40) < schedule(0.02, 49) <= 1.0
    assert schedule(1.0, 1000) == pytest.approx(0.0) and schedule(2.0, 1000) == pytest.approx(0.0)


def test_the_export_equals_torch_and_passes_its_own_test(exported: ExportedPolicy) -> None:
    assert exported.parity_max_abs < 1e-5
    assert exported.hash == sha256_hex(exported.path.read_bytes())
    assert self_test(OnnxPolicy(exported.path)) < 1e-5


def test_batches_of_any_size_give_the_same_rows(exported: ExportedPolicy, dataset: Path) -> None:
    feed = recorded_observations(load_frames(dataset), 5)
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    whole = np.asarray(session.run(None, feed)[0])
    assert len(whole) > 3
    for row in range(len(whole)):
        single = np.asarray(session.run(None, {name: each[row : row + 1] for name, each in feed.items()})[0])
        np.testing.assert_allclose(single[0], whole[row], atol=1e-5)


def test_the_policy_file_names_its_contract_and_its_origin(
    exported: ExportedPolicy, dataset: Path, contract: Contract
) -> None:
    policy = OnnxPolicy(exported.path)
    manifest = Manifest.load(dataset)
    assert policy.contract == contract and policy.contract.hash == contract.hash
    assert policy.lineage["made_from"]["dataset"] == manifest.hash
    assert policy.lineage["facts"]["recipe"]["seed"] == 1
    model = onnx.load(exported.path)
    assert {each.key for each in model.metadata_props} == {
        f"learned_arm.{key}" for key in ("contract", "signature", "lineage", "selftest", "seal")
    }
    assert [each.version for each in model.opset_import if each.domain == ""] == [17]
    statement = Statement.load(exported.path.with_suffix(".lineage.json"))
    assert statement == exported.lineage and statement.subject_hash == policy.hash
    assert policy.selftest.cases == 4


def test_the_policy_looks_at_the_images(exported: ExportedPolicy, dataset: Path) -> None:
    feed = recorded_observations(load_frames(dataset), 2)
    policy = OnnxPolicy(exported.path)
    one = {name: each[:1] for name, each in feed.items()}
    dark = {name: np.zeros_like(each) if "images" in name else each for name, each in one.items()}
    assert np.abs(policy.run(one)[ACTION] - policy.run(dark)[ACTION]).max() > 1e-3


def test_a_damaged_policy_file_is_one_line(exported: ExportedPolicy, tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(exported.path.read_bytes()[:1000])
    with pytest.raises(LearnedArmError, match=r"policy\.onnx: corrupt model") as caught:
        OnnxPolicy(path)
    assert "\n" not in str(caught.value)


def test_an_export_against_another_dataset_is_refused(
    trained: tuple[Path, TrainingResult], dataset: Path, contract: Contract, tmp_path: Path
) -> None:
    demos = sorted((dataset.parent / "demos/pick_cube").iterdir())
    build_dataset(demos[:2], contract, tmp_path / "other", workers=1)
    with pytest.raises(LearnedArmError, match="trained on another dataset"):
        export_policy(trained[0], tmp_path / "other", tmp_path / "policy.onnx")
    assert not (tmp_path / "policy.onnx").exists()
    with pytest.raises(LearnedArmError, match=r"ends in \.onnx"):
        export_policy(trained[0], dataset, tmp_path / "policy.bin")

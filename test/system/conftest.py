"""One small run of the flywheel, shared by the tests of the whole system."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.manifest import Manifest
from demo_tools.flow import stages
from demo_tools.flow.lead import Recorded
from demo_tools.flow.run_folder import RunFolder
from demo_tools.training import ExportedPolicy, export_policy, train
from learned_arm.contract import Contract, load_contract

COUNT = 2


def ignore(_outcome: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract("pick_cube")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def recorded(run: RunFolder, contract: Contract) -> list[Recorded]:
    return stages.record(run, contract, COUNT, 1, ignore)


@pytest.fixture(scope="session")
def replays(run: RunFolder, contract: Contract, recorded: list[Recorded]) -> list[dict[str, str]]:
    return stages.replay(run, contract, [each.folder for each in recorded], 1, ignore)


@pytest.fixture(scope="session")
def manifest(run: RunFolder, contract: Contract, recorded: list[Recorded], replays: list[dict[str, str]]) -> Manifest:
    return build_dataset([each.folder for each in recorded], contract, run / "dataset")


@pytest.fixture(scope="session")
def policy(run: RunFolder, manifest: Manifest) -> ExportedPolicy:
    """A policy that has hardly learned anything: what it does matters to no test, what it sees does."""
    train(run / "dataset", run / "training", iterations=20, threads=2)
    return export_policy(run / "training", run / "dataset", run / "policy.onnx")


@pytest.fixture(scope="session")
def rollout(run: RunFolder, contract: Contract, policy: ExportedPolicy) -> Path:
    """Folder of one rollout's episode."""
    statement = stages.evaluate(run, contract, policy.path, policy.hash, 1, 1, ignore, limit_s=2.0)
    return run / statement["trials"][0]["folder"]

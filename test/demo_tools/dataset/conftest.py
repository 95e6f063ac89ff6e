"""Fixtures around synthetic episodes; `test/demo_tools/training` loads the same file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from demo_tools.dataset.build import build_dataset
from learned_arm.contract import Contract


def _load() -> ModuleType:
    # Test folders are no packages: a helper beside the tests is loaded by its place.
    name = "synthetic_episodes"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


synthetic_episodes = _load()


@pytest.fixture(scope="session")
def synthetic() -> Any:
    """The module that writes episodes."""
    return synthetic_episodes


@pytest.fixture(scope="session")
def contract() -> Contract:
    """A small contract."""
    return synthetic_episodes.small_contract()


@pytest.fixture
def record(tmp_path: Path, contract: Contract) -> Callable[..., Path]:
    """Writes an episode by its recipe, `record(seed=1, ticks=20)`; replayed unless told."""

    def write(replayed: bool = True, under: Contract | None = None, **recipe: Any) -> Path:
        used = under or contract
        wanted = synthetic_episodes.Recipe(**recipe)
        return synthetic_episodes.write_episode(tmp_path / "demos", used, wanted, replayed=used if replayed else None)

    return write


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Path:
    """A dataset of five small episodes, one of them for validation."""
    root = tmp_path_factory.mktemp("dataset")
    recipes = [synthetic_episodes.Recipe(seed=seed, ticks=24 + seed) for seed in range(5)]
    episodes = [synthetic_episodes.write_episode(root / "demos", contract, each, replayed=contract) for each in recipes]
    build_dataset(episodes, contract, root / "dataset", validation_share=0.2, workers=1)
    return root / "dataset"

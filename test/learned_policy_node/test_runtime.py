"""Execution providers: the one in use is known, an absent one is named together with those that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from learned_arm.errors import LearnedArmError
from learned_policy_node.onnx_policy import OnnxPolicy
from learned_policy_node.runtime import LOOSE, PROVIDERS, available_providers

MakeModel = Callable[..., Path]
PRESENT = available_providers()


def test_names_and_providers_are_those_of_the_installed_runtime() -> None:
    assert "cpu" in PRESENT
    assert set(PROVIDERS.values()) <= set(onnxruntime.get_all_providers())


@pytest.mark.parametrize("provider", PRESENT)
def test_the_self_test_runs_on_the_provider_in_use(make_model: MakeModel, provider: str) -> None:
    policy = OnnxPolicy(make_model(), provider=provider)
    assert policy.runtime.provider == provider
    assert policy.runtime.nodes[provider] > 0
    assert policy.self_test() <= policy.tolerance


def test_on_the_cpu_every_operator_is_there(make_model: MakeModel) -> None:
    assert list(OnnxPolicy(make_model()).runtime.nodes) == ["cpu"]


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - set(PRESENT)))
def test_an_absent_provider_names_those_that_are_there(make_model: MakeModel, provider: str) -> None:
    with pytest.raises(LearnedArmError, match=rf"provider not installed; got {provider}; allowed: \['cpu'"):
        OnnxPolicy(make_model(), provider=provider)


def test_an_unknown_provider_and_wrong_threads_name_what_is_allowed(make_model: MakeModel) -> None:
    with pytest.raises(LearnedArmError, match=r"unknown execution provider; got gpu; allowed: \['cpu', 'cuda'"):
        OnnxPolicy(make_model(), provider="gpu")
    with pytest.raises(LearnedArmError, match=r"threads; got 3; allowed: \[1, 2\]"):
        OnnxPolicy(make_model(), threads=3)


@pytest.mark.parametrize(("provider", "tolerance"), [("cpu", 1e-4), ("cuda", 1e-3), ("tensorrt", 1e-3)])
def test_the_tolerance_is_the_providers(make_model: MakeModel, provider: str, tolerance: float) -> None:
    policy = OnnxPolicy(make_model())
    policy.runtime.provider = provider
    assert policy.tolerance == tolerance
    loose = OnnxPolicy(make_model(selftest=replace(policy.selftest, tolerance=5e-3)))
    loose.runtime.provider = provider
    assert loose.tolerance == 5e-3
    assert all(1e-4 < each < 1e-2 for each in LOOSE.values())

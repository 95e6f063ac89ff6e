"""Builds small policy files with the ONNX helper API, so that these tests need no trainer."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from learned_arm.contract import Contract, load_contract
from learned_arm.observation import Observation
from learned_policy_node.selftest import SelfTest
from test import patience

CASES = 3
BENCH = Path(__file__).with_name("policy_bench.py")


@pytest.fixture
def bench(contract: Contract, ros_domain_id: int) -> Iterator[Any]:
    """The robot around the nodes under test, see `policy_bench`."""
    # Test folders are no packages: a helper beside the tests is loaded by its place.
    spec = importlib.util.spec_from_file_location("policy_bench", BENCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bench = module.Bench(contract, ros_domain_id)
    yield bench
    bench.close()


@pytest.fixture
def patient(contract: Contract, tmp_path: Path) -> tuple[Contract, Path]:
    """The contract with ages of a second, and its file: a busy machine stalls a publisher longer than an arm does."""
    value = patience.patient(contract)
    file = tmp_path / "patient.yaml"
    file.write_text(json.dumps(value))
    return Contract.from_canonical(value), file


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load_contract("pick_cube")


def tiny_graph(
    contract: Contract, *, dark_is_short: bool = False, dark_is_nan: bool = False, shift: float = 0.0
) -> onnx.GraphProto:
    """action[k] = (k + 1) * mean(front) / 1e5 + mean(wrist) / 1e5 + state / 100 + shift, with means over all pixels.

    With `dark_is_nan` the output is NaN where the front image is darker than 20; with `dark_is_short` it has
    fewer steps where that is darker than 100.
    """
    horizon, dof, history = contract.action.horizon, contract.robot.dof, contract.history
    given = [
        helper.make_tensor_value_info(
            f"observation.images.{name}", TensorProto.UINT8, ["batch", history, *camera.size, 3]
        )
        for name, camera in contract.cameras.items()
    ]
    given.append(helper.make_tensor_value_info("observation.state", TensorProto.FLOAT, ["batch", history, dof]))
    ramp = np.arange(1, horizon + 1, dtype=np.float32)[None, :, None] / 1e5
    constants = {
        "axes": np.array([1, 2, 3, 4]),
        "row": np.array([-1, 1, 1]),
        "ramp": np.repeat(ramp, dof, axis=2),
        "small": np.array(1e-5, dtype=np.float32),
        "hundredth": np.array(1e-2, dtype=np.float32),
        "twenty": np.array(20.0, dtype=np.float32),
        "thousandth": np.array(1e-3, dtype=np.float32),
        "zero": np.array(0),
        "shift_rad": np.array(shift, dtype=np.float32),
        "flat": np.array([-1]),
        "last": np.array(history - 1),
    }
    nodes = []
    for name in contract.cameras:
        nodes += [
            helper.make_node("Cast", [f"observation.images.{name}"], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", [f"{name}_float", "axes"], [f"{name}_mean"], keepdims=0),
            helper.make_node("Reshape", [f"{name}_mean", "row"], [name]),
        ]
    front = "front"
    if dark_is_nan:
        nodes += [
            helper.make_node("Sub", ["front", "twenty"], ["above"]),
            helper.make_node("Sqrt", ["above"], ["nan_or_root"]),
            helper.make_node("Mul", ["nan_or_root", "small"], ["bright"]),
        ]
        front = "bright"
    nodes += [
        helper.make_node("Mul", ["ramp", front], ["moved_little"]),
        helper.make_node("Add", ["moved_little", "shift_rad"], ["motion"]),
        helper.make_node("Mul", ["wrist", "small"], ["shift"]),
        helper.make_node("Add", ["motion", "shift"], ["moved"]),
        helper.make_node("Gather", ["observation.state", "last"], ["state"], axis=1),
        helper.make_node("Unsqueeze", ["state", "one"], ["state_row"]),
        helper.make_node("Mul", ["state_row", "hundredth"], ["share"]),
        helper.make_node("Add", ["moved", "share"], ["whole" if dark_is_short else "action"]),
    ]
    if dark_is_short:
        nodes += [
            helper.make_node("Gather", ["motion", "zero"], ["motion_row"], axis=2),
            helper.make_node("Reshape", ["motion_row", "flat"], ["motion_flat"]),
            helper.make_node("Greater", ["motion_flat", "thousandth"], ["kept"]),
            helper.make_node("Compress", ["whole", "kept"], ["action"], axis=1),
        ]
    constants["one"] = np.array([1])
    wanted: list[Any] = ["batch", "steps" if dark_is_short else horizon, dof]
    return helper.make_graph(
        nodes,
        "tiny",
        given,
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, wanted)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )


def expected_action(inputs: dict[str, np.ndarray], horizon: int) -> np.ndarray:
    """What `tiny_graph` computes, by numpy."""
    front = inputs["observation.images.front"].astype(np.float64).mean(axis=(1, 2, 3, 4))[:, None, None]
    wrist = inputs["observation.images.wrist"].astype(np.float64).mean(axis=(1, 2, 3, 4))[:, None, None]
    ramp = np.arange(1, horizon + 1)[None, :, None] / 1e5
    state = inputs["observation.state"][:, -1:].astype(np.float64)
    return (ramp * front + wrist * 1e-5 + state * 1e-2).astype(np.float32)


def recorded_inputs(contract: Contract, cases: int = CASES) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    inputs: dict[str, np.ndarray] = {
        f"observation.images.{name}": rng.integers(60, 256, (cases, contract.history, *camera.size, 3), np.uint8)
        for name, camera in contract.cameras.items()
    }
    inputs["observation.state"] = rng.normal(size=(cases, contract.history, contract.robot.dof)).astype(np.float32)
    return inputs


@pytest.fixture
def make_model(tmp_path: Path, contract: Contract) -> Callable[..., Path]:
    """Writes a policy file; every part of it can be replaced."""

    def make(
        name: str = "policy.onnx",
        of: Contract = contract,
        graph: onnx.GraphProto | None = None,
        metadata: dict[str, Any] | None = None,
        selftest: SelfTest | None = None,
        **options: Any,
    ) -> Path:
        graph = graph if graph is not None else tiny_graph(of, **options)
        if selftest is None:
            inputs = recorded_inputs(of)
            action = expected_action(inputs, of.action.horizon)
            if options.get("dark_is_nan"):
                front = inputs["observation.images.front"].astype(np.float64).mean(axis=(1, 2, 3, 4))[:, None, None]
                ramp = np.arange(1, of.action.horizon + 1)[None, :, None] / 1e5
                action = (action - ramp * front + ramp * np.sqrt(front - 20.0) * 1e-5).astype(np.float32)
            shift = np.float32(options.get("shift", 0.0))
            selftest = SelfTest(inputs, {"action": action + shift})
        entries = {
            "contract": of.canonical(),
            "signature": {
                "inputs": {each.name: "observation" for each in graph.input},
                "outputs": {each.name: "action" for each in graph.output},
                "recurrent": [],
            },
            "lineage": {"dataset": "0" * 64, "seed": 0},
            "selftest": selftest.to_json(),
            **(metadata or {}),
        }
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        present = {key: value for key, value in entries.items() if value is not None}
        helper.set_model_props(model, {f"learned_arm.{key}": json.dumps(value) for key, value in present.items()})
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return make


@pytest.fixture(scope="session")
def small(contract: Contract) -> Contract:
    """One camera of 8 x 12 pixels and two steps: quick to build models for."""
    cameras = {"front": replace(contract.cameras["front"], size=(8, 12))}
    return replace(contract, cameras=cameras, action=replace(contract.action, horizon=2))


@pytest.fixture
def save_policy(tmp_path: Path) -> Callable[..., Path]:
    """Writes a policy file of any kind from its parts; without metadata when `described` is false."""

    def save(
        of: Contract,
        nodes: list[onnx.NodeProto],
        inputs: dict[str, tuple[int, list[Any]]],
        outputs: dict[str, list[Any]],
        constants: dict[str, np.ndarray],
        signature: dict[str, Any],
        selftest: SelfTest | None = None,
        name: str = "policy.onnx",
        described: bool = True,
    ) -> Path:
        graph = helper.make_graph(
            nodes,
            "small",
            [helper.make_tensor_value_info(each, kind, shape) for each, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in outputs.items()],
            [numpy_helper.from_array(array, each) for each, array in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        if described:
            assert selftest is not None
            entries = {
                "contract": of.canonical(),
                "signature": signature,
                "lineage": {},
                "selftest": selftest.to_json(),
            }
            helper.set_model_props(model, {f"learned_arm.{key}": json.dumps(each) for key, each in entries.items()})
        path = tmp_path / name
        path.write_bytes(model.SerializeToString())
        return path

    return save


@pytest.fixture
def observe(small: Contract) -> Callable[[int], Observation]:
    """A random observation of the small contract by its seed."""

    def make(seed: int) -> Observation:
        rng = np.random.default_rng(seed)
        images = {"front": rng.integers(0, 256, (1, 8, 12, 3), np.uint8)}
        return Observation(seed, images, rng.normal(size=(1, small.robot.dof)).astype(np.float32))

    return make

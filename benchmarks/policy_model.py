"""A policy file of realistic size without a training: a small convolutional net with random, seeded weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from learned_arm.canonical import canonical_json
from learned_arm.contract import Contract
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input, expected_inputs
from learned_policy_node.seal import sealed
from learned_policy_node.selftest import SelfTest

OPSET = 17
CHANNELS = (32, 64, 128, 128)
HIDDEN = 256
# Labels of at most a few hundredths of a radian: a motion that no limit touches.
_OUTPUT_SCALE = 0.02


def write_policy(
    path: Path,
    contract: Contract,
    seed: int = 0,
    made_from: Mapping[str, str] | None = None,
    largest_label_rad: float = _OUTPUT_SCALE,
    about: NDArray[np.float32] | None = None,
) -> None:
    """Write a complete policy file for a contract: four strided convolutions a camera, then two dense layers.

    Args:
        path: The .onnx file.
        contract: Gives inputs and output.
        seed: Of the weights.
        made_from: Hashes that its lineage names, such as that of a dataset.
        largest_label_rad: Bound of its labels.
        about: What they lie about, shape (numbers of a label,); zero by default.
    """
    rng = np.random.default_rng(seed)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, value: NDArray[np.generic]) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    def normal(name: str, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:]))
        return constant(name, rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32))

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    width_of_label = len(contract.label_names)
    size = contract.action.horizon * width_of_label
    features = []
    for name, camera in contract.cameras.items():
        height, width = camera.size
        x = add("Cast", [camera_input(name)], f"{name}.float", to=TensorProto.FLOAT)
        x = add("Mul", [x, constant(f"{name}.scale", np.array(1 / 255, np.float32))], f"{name}.unit")
        pixels = constant(f"{name}.shape", np.array([-1, contract.history * height, width, 3]))
        x = add("Reshape", [x, pixels], f"{name}.rows")
        x = add("Transpose", [x], f"{name}.planes", perm=[0, 3, 1, 2])
        before = 3
        for index, after in enumerate(CHANNELS):
            kernel = normal(f"{name}.kernel{index}", after, before, 3, 3)
            x = add("Conv", [x, kernel], f"{name}.conv{index}", strides=[2, 2], pads=[1, 1, 1, 1])
            x = add("Relu", [x], f"{name}.relu{index}")
            before = after
        features.append(add("ReduceMean", [x], f"{name}.features", axes=[2, 3], keepdims=0))
    features.append(add("Flatten", [STATE], "state.flat"))
    x = add("Concat", features, "features", axis=1)
    width = CHANNELS[-1] * len(contract.cameras) + contract.history * len(contract.state_names)
    x = add("Gemm", [x, normal("hidden.weight", HIDDEN, width)], "hidden", transB=1)
    x = add("Tanh", [x], "hidden.tanh")
    x = add("Gemm", [x, normal("head.weight", size, HIDDEN)], "head", transB=1)
    x = add("Tanh", [x], "head.tanh")
    x = add("Mul", [x, constant("head.scale", np.array(largest_label_rad, np.float32))], "head.rad")
    shape = constant("action.shape", np.array([-1, contract.action.horizon, width_of_label]))
    x = add("Reshape", [x, shape], "head.labels")
    centre = np.zeros(width_of_label, np.float32) if about is None else about
    add("Add", [x, constant("action.about", centre)], ACTION)

    inputs = expected_inputs(contract)
    kinds = {"tensor(uint8)": TensorProto.UINT8, "tensor(float)": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info(name, kinds[kind], ["batch", *tail]) for name, (kind, tail) in inputs.items()],
        [helper.make_tensor_value_info(ACTION, TensorProto.FLOAT, ["batch", contract.action.horizon, width_of_label])],
        weights,
    )
    save_policy(path, contract, graph, _observation(contract, rng), made_from, {"seed": seed})


def save_policy(
    path: Path,
    contract: Contract,
    graph: onnx.GraphProto,
    feed: Mapping[str, NDArray[Any]],
    made_from: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Make a policy file of a graph with the contract's inputs and output; the feed is its self-test."""
    inputs = expected_inputs(contract)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    output = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        [ACTION], dict(feed)
    )
    metadata = {
        "contract": canonical_json(contract.canonical()).decode(),
        "signature": json.dumps(
            {"inputs": {name: name for name in inputs}, "outputs": {ACTION: ACTION}, "recurrent": []}
        ),
        "lineage": json.dumps({"kind": "policy", "made_from": dict(made_from or {}), "facts": dict(facts or {})}),
        "selftest": json.dumps(SelfTest(feed, {ACTION: np.asarray(output[0])}).to_json()),
    }
    helper.set_model_props(model, {f"learned_arm.{key}": value for key, value in metadata.items()})
    path.write_bytes(sealed(model))


def _observation(contract: Contract, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    feed: dict[str, NDArray[np.generic]] = {}
    for name, (kind, tail) in expected_inputs(contract).items():
        if kind == "tensor(uint8)":
            feed[name] = rng.integers(0, 256, (1, *tail), dtype=np.uint8)
        else:
            state = np.zeros(len(contract.state_names), np.float32)
            state[: contract.robot.dof] = contract.robot.home_rad
            feed[name] = np.tile(state, (1, *tail[:-1], 1))
    return feed

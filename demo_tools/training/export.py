"""Checkpoint -> one ONNX file that carries its contract, lineage and self-test, and equals torch where it was tried."""

from __future__ import annotations

import copy
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from demo_tools.dataset.frames import Frames, load_frames
from demo_tools.training.checkpoint import CHECKPOINT_FILE, load_checkpoint
from demo_tools.training.data import build_chunks, observations
from demo_tools.training.export_memory import (
    MEMORY_IN,
    MEMORY_OUT,
    parity_over_episodes,
    selftest_along,
    walk_episodes,
)
from demo_tools.training.model import PolicyNetwork
from demo_tools.training.recurrent import RecurrentNetwork, make_network
from demo_tools.training.trainer import network_shape
from learned_arm.canonical import canonical_json, sha256_hex
from learned_arm.contract import Contract
from learned_arm.durable import write_whole
from learned_arm.errors import LearnedArmError
from learned_arm.lineage import Statement
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input
from learned_policy_node.seal import sealed
from learned_policy_node.selftest import SelfTest

OPSET = 17
PARITY_LIMIT = 1e-4
_SELFTEST_CASES = 4
_PARITY_CASES = 12
_PARITY_BATCHES = (1, 3)


@dataclass(frozen=True)
class ExportedPolicy:
    """An exported policy.

    Attributes:
        path: The file.
        hash: SHA-256 of the file, which names the policy.
        parity_max_abs: Largest difference between ONNX Runtime and torch on recorded observations, with memory on whole
            recorded episodes, rad.
        lineage: Statement about it, also written beside it.
    """

    path: Path
    hash: str
    parity_max_abs: float
    lineage: Statement


def export_policy(training: Path, dataset: Path, out: Path) -> ExportedPolicy:
    """Export the averaged weights of a training.

    Args:
        training: Folder that `train` wrote.
        dataset: The dataset that it was trained on; gives the recorded observations.
        out: The .onnx file; replaced whole or not at all.

    Raises:
        LearnedArmError: Checkpoint and dataset do not belong together, or the export differs from torch by more than
            1e-4 rad.
    """
    if out.suffix != ".onnx":
        raise LearnedArmError("not a policy file", got=str(out), allowed="a name that ends in .onnx")
    checkpoint = training / CHECKPOINT_FILE
    content = load_checkpoint(checkpoint)
    frames = load_frames(dataset)
    contract = frames.contract
    trained_on, dataset_hash = content["dataset_hash"], frames.manifest.hash
    if trained_on != dataset_hash:
        raise LearnedArmError("trained on another dataset", where=checkpoint, got=trained_on, allowed=dataset_hash)
    network = make_network(network_shape(contract, content["recipe"]["memory"]))
    network.load_state_dict(content["average"])
    network.eval()
    model, parity, selftest = _proved(network, frames)
    if not parity <= PARITY_LIMIT:
        raise LearnedArmError("export differs from torch", where=out, got=f"{parity:.3g}", allowed=f"{PARITY_LIMIT:g}")
    made_from = {"dataset": dataset_hash, "contract": contract.hash, "weights": _weights_hash(network)}
    facts = {
        "iterations": content["iteration"],
        "recipe": content["recipe"],
        "torch": str(torch.__version__),
        "opset": OPSET,
    }
    metadata = {
        "contract": contract.canonical(),
        "signature": _signature(contract, network),
        "lineage": {"kind": "policy", "made_from": made_from, "facts": facts},
        "selftest": selftest.to_json(),
    }
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"learned_arm.{key}", canonical_json(value).decode()
    data = sealed(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, data)
    statement = Statement("policy", sha256_hex(data), made_from, facts)
    statement.save(out.with_suffix(".lineage.json"))
    return ExportedPolicy(out, statement.subject_hash, parity, statement)


def _proved(network: PolicyNetwork, frames: Frames) -> tuple[onnx.ModelProto, float, SelfTest]:
    """The graph, its largest difference from torch, and the self-test that torch's numbers make."""
    if isinstance(network, RecurrentNetwork):
        walk = walk_episodes(network, frames)
        several = walk.labels.shape[1]
        model = to_onnx(network, walk.at(0, walk.memory[0], several))
        return model, parity_over_episodes(model, walk), selftest_along(walk, _SELFTEST_CASES)
    feed = recorded_observations(frames, _PARITY_CASES)
    expected = run_torch(network, feed)
    model = to_onnx(network, feed)
    cases = slice(0, _SELFTEST_CASES)
    selftest = SelfTest({name: values[cases] for name, values in feed.items()}, {ACTION: expected[cases]})
    return model, parity_max_abs(model, feed, expected), selftest


def recorded_observations(frames: Frames, count: int) -> dict[str, NDArray[Any]]:
    """Inputs of the policy at frames spread over the dataset, validation episodes first where there are any."""
    split = "validation" if frames.manifest.indices("validation") else "train"
    chunks = build_chunks(frames, frames.manifest.indices(split))
    picked = np.unique(np.linspace(0, len(chunks) - 1, count).astype(np.int64))
    images, state = observations(frames, chunks.frame[picked])
    return {**{camera_input(name): each for name, each in images.items()}, STATE: state}


def run_torch(network: PolicyNetwork, feed: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The network's labels, float32, shape (B, horizon, width)."""
    with torch.no_grad():
        return network(*[torch.from_numpy(np.ascontiguousarray(each)) for each in feed.values()]).numpy()


def to_onnx(network: PolicyNetwork, feed: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    """The graph with a free batch axis; inputs are named by the keys of the feed.

    The exporter by tracing is used on purpose: the newer one has been seen to freeze the batch silently.
    """
    # A copy in plain layout: the weights may lie channels-last, which only the training is faster for.
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = tuple(torch.from_numpy(np.ascontiguousarray(each)) for each in feed.values())
    outputs = [ACTION, MEMORY_OUT] if MEMORY_IN in feed else [ACTION]
    # The batch lies where the framework puts it: second in the memory of a GRU.
    axes = {name: {1 if name in (MEMORY_IN, MEMORY_OUT) else 0: "batch"} for name in (*feed, *outputs)}
    buffer: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain,
            example,
            buffer,
            input_names=list(feed),
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(buffer.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model


def parity_max_abs(model: onnx.ModelProto, feed: dict[str, NDArray[Any]], expected: NDArray[np.float32]) -> float:
    """Largest difference from the expected labels over all observations, in batches of 1 and of 3."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in _PARITY_BATCHES:
        for start in range(0, len(expected), batch):
            part = {name: each[start : start + batch] for name, each in feed.items()}
            output = np.asarray(session.run([ACTION], part)[0])
            wanted = expected[start : start + batch]
            if output.shape != wanted.shape:
                raise LearnedArmError("export gives another shape", got=output.shape, allowed=wanted.shape)
            worst = max(worst, float(np.abs(output - wanted).max()))
    return worst


def _signature(contract: Contract, network: PolicyNetwork) -> dict[str, Any]:
    inputs = {**{camera_input(name): f"camera:{name}" for name in contract.cameras}, STATE: "state"}
    if not network.shape.memory:
        return {"inputs": inputs, "outputs": {ACTION: "labels"}, "recurrent": []}
    memory = {"input": MEMORY_IN, "output": MEMORY_OUT, "shape": [1, 1, network.shape.memory], "initial": 0.0}
    return {
        "inputs": {**inputs, MEMORY_IN: "recurrent"},
        "outputs": {ACTION: "labels", MEMORY_OUT: "recurrent"},
        "recurrent": [memory],
        "reset": {"on": ["engage", "request"]},
        "step_ticks": 1,
    }


def _weights_hash(network: PolicyNetwork) -> str:
    """Hash of all weights and buffers by name, float32."""
    parts = [
        name.encode() + b"\0" + np.ascontiguousarray(values.float().numpy(), dtype="<f4").tobytes()
        for name, values in sorted(network.state_dict().items())
    ]
    return sha256_hex(b"".join(parts))

"""A policy that moves two joints round a circle, and breaks when a picture tells it to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.faults.world import (
    GOOD,
    HANGS,
    INFINITE,
    MODE_CAMERA,
    MODE_STEP,
    MODES,
    NAN,
    RADIUS_RAD,
    SHORT,
    SLOW,
    TURN_RAD_S,
    picture,
)
from benchmarks.policy_model import OPSET, save_policy
from learned_arm.contract import Contract
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input, expected_inputs

_PULL_1_S = 1.0
_FOR_EVER = 10**12
_SIDE = 64
_SLOW_S = 0.55
"""Longer than a chunk of the rig lasts, shorter than the policy node's `inference_timeout_s`."""


def write_circle(path: Path, contract: Contract) -> None:
    """Write the policy file for a contract of `rig_contract`.

    The motion needs no memory: with d the distance of the first two joints from home,
    v = turn * (-d1, d0) + pull * (1 - |d|^2 / r^2) * d goes to the circle of radius r from anywhere but its centre,
    and label k is v times the time from the tick to its target.

    Args:
        path: The .onnx file.
        contract: What it is for.
    """
    save_policy(path, contract, _graph(contract, _turns_for(_SLOW_S)), _sound_observation(contract))


def _graph(contract: Contract, slow_turns: int) -> onnx.GraphProto:
    dof, horizon, period_s = contract.robot.dof, contract.action.horizon, contract.period_ns / 1e9
    height = contract.cameras[MODE_CAMERA].size[0]
    turn, two = np.zeros((dof, dof), np.float32), np.zeros((dof, dof), np.float32)
    turn[1, 0], turn[0, 1] = -TURN_RAD_S, TURN_RAD_S
    two[0, 0] = two[1, 1] = 1.0
    ahead_s = (np.arange(horizon, dtype=np.float32) + contract.action.offset_ticks) * np.float32(period_s)
    table = np.zeros(len(MODES), np.float32)
    table[NAN], table[INFINITE] = np.nan, np.inf
    steps = np.full(len(MODES), horizon, np.int64)
    steps[SHORT] = horizon - 1
    turns = np.zeros(len(MODES), np.int64)
    turns[HANGS], turns[SLOW] = _FOR_EVER, slow_turns
    constants: dict[str, NDArray[Any]] = {
        "home": np.asarray(contract.robot.home_rad, np.float32),
        "turn": turn,
        "two": two,
        "radius2": np.array(RADIUS_RAD**2, np.float32),
        "one": np.array(1.0, np.float32),
        "pull": np.array(_PULL_1_S, np.float32),
        "last": np.array(contract.history - 1),
        "chunk_axis": np.array([1]),
        "last_axis": np.array([-1]),
        "ahead_s": ahead_s[None, :, None],
        "zero": np.array(0.0, np.float32),
        "from": np.array([height - height // 8]),
        "to": np.array([height]),
        "row_axis": np.array([2]),
        "mode_step": np.array(MODE_STEP, np.float32),
        "table": table,
        "steps": steps,
        "first": np.array([0]),
        "turns": turns,
        "go": np.array(True),
        "square": _square(),
    }
    nodes = [
        helper.make_node("Gather", [STATE, "last"], ["state"], axis=1),
        helper.make_node("Sub", ["state", "home"], ["from_home"]),
        helper.make_node("MatMul", ["from_home", "two"], ["d"]),
        helper.make_node("MatMul", ["d", "turn"], ["around"]),
        helper.make_node("Mul", ["d", "d"], ["d2"]),
        helper.make_node("ReduceSum", ["d2", "last_axis"], ["r2"], keepdims=1),
        helper.make_node("Div", ["r2", "radius2"], ["share"]),
        helper.make_node("Sub", ["one", "share"], ["missing"]),
        helper.make_node("Mul", ["missing", "pull"], ["pulled"]),
        helper.make_node("Mul", ["d", "pulled"], ["outward"]),
        helper.make_node("Add", ["around", "outward"], ["speed"]),
        helper.make_node("Unsqueeze", ["speed", "chunk_axis"], ["speed_row"]),
        helper.make_node("Mul", ["speed_row", "ahead_s"], ["labels"]),
        helper.make_node("Slice", [camera_input(MODE_CAMERA), "from", "to", "row_axis"], ["band"]),
        helper.make_node("Cast", ["band"], ["band_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["band_float"], ["grey"], keepdims=0),
        helper.make_node("Div", ["grey", "mode_step"], ["mode_float"]),
        helper.make_node("Round", ["mode_float"], ["mode_whole"]),
        helper.make_node("Cast", ["mode_whole"], ["mode"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "mode"], ["spoiler"]),
        helper.make_node("Add", ["labels", "spoiler"], ["spoiled"]),
        helper.make_node("Gather", ["turns", "mode"], ["turns_now"]),
        helper.make_node("Loop", ["turns_now", "go", "square"], ["ground"], body=_body()),
        helper.make_node("ReduceMax", ["ground"], ["grain"], keepdims=0),
        helper.make_node("Mul", ["grain", "zero"], ["nothing"]),
        helper.make_node("Add", ["spoiled", "nothing"], ["whole"]),
        helper.make_node("Gather", ["steps", "mode"], ["steps_now"]),
        helper.make_node("Unsqueeze", ["steps_now", "first"], ["until"]),
        helper.make_node("Slice", ["whole", "first", "until", "chunk_axis"], [ACTION]),
    ]
    kinds = {"tensor(uint8)": TensorProto.UINT8, "tensor(float)": TensorProto.FLOAT}
    return helper.make_graph(
        nodes,
        "circle",
        [
            helper.make_tensor_value_info(name, kinds[kind], ["batch", *tail])
            for name, (kind, tail) in expected_inputs(contract).items()
        ],
        [helper.make_tensor_value_info(ACTION, TensorProto.FLOAT, ["batch", "steps", dof])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def _body() -> onnx.GraphProto:
    """One turn of the loop: work that takes a while and comes to nothing."""
    square = [_SIDE, _SIDE]
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_on"]),
            helper.make_node("MatMul", ["square_in", "square"], ["product"]),
            helper.make_node("Tanh", ["product"], ["square_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("index", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("square_in", TensorProto.FLOAT, square),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("square_out", TensorProto.FLOAT, square),
        ],
    )


def _square() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1 / np.sqrt(_SIDE), (_SIDE, _SIDE)).astype(np.float32)


def _turns_for(seconds: float) -> int:
    """How many turns of the loop this machine does in so much time."""
    graph = helper.make_graph(
        [helper.make_node("Loop", ["count", "go", "square"], ["ground"], body=_body())],
        "turns",
        [helper.make_tensor_value_info("count", TensorProto.INT64, [])],
        [helper.make_tensor_value_info("ground", TensorProto.FLOAT, [_SIDE, _SIDE])],
        [numpy_helper.from_array(np.array(True), "go"), numpy_helper.from_array(_square(), "square")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    count, fastest_s = 500, np.inf
    for _ in range(15):
        started_s = time.perf_counter()
        session.run(None, {"count": np.array(count)})
        fastest_s = min(fastest_s, time.perf_counter() - started_s)
    return round(count * seconds / fastest_s)


def _sound_observation(contract: Contract) -> dict[str, NDArray[Any]]:
    feed: dict[str, NDArray[Any]] = {}
    for name, spec in contract.cameras.items():
        seen = picture(name, 0, GOOD, *spec.size)
        feed[camera_input(name)] = np.tile(seen, (1, contract.history, 1, 1, 1))
    state = np.asarray(contract.robot.home_rad, np.float32) + np.float32(0.1)
    feed[STATE] = np.tile(state, (1, contract.history, 1))
    return feed

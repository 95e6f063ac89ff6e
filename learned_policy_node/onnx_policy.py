"""A policy from one ONNX file: checked against its contract, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.policy_file import CORRUPT, read_file, read_metadata
from learned_policy_node.selftest import SelfTest

STATE = "observation.state"
ACTION = "action"
_MOST_THREADS = 2


class OnnxPolicy:
    """Loads, checks and runs a policy file. Loading holds the interpreter: do it before the arm is engaged.

    Attributes:
        contract: The robot and task that the file names.
        hash: SHA-256 of the file.
        lineage: Who it was made from.
        selftest: Recorded observations and the outputs they must give.

    Args:
        path: The .onnx file.
        threads: Threads inside an operator, 1 or 2; they sleep between calls.

    Raises:
        LearnedArmError: The file is missing, too large, corrupt, not whole in itself or against its contract.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        if not 1 <= threads <= _MOST_THREADS:
            raise LearnedArmError("wrong number of threads", got=threads, allowed=f"[1, {_MOST_THREADS}]")
        self.path = Path(path)
        data = read_file(self.path)
        self.hash = sha256_hex(data)
        properties = read_metadata(data, self.path)
        self.contract = Contract.from_canonical(properties["contract"], f"{self.path.name}: contract")
        self.lineage: dict[str, Any] = checked.free_mapping(properties["lineage"], f"{self.path.name}: lineage")
        self.selftest = SelfTest.from_json(properties["selftest"], f"{self.path.name}: selftest")
        try:
            self._session = onnxruntime.InferenceSession(data, _options(threads), providers=["CPUExecutionProvider"])
        except CORRUPT as error:
            raise LearnedArmError("cannot be run", where=self.path, got=str(error), allowed="an ONNX model") from error
        self._check_signature(properties["signature"])

    def reset(self) -> None:
        """Nothing to forget: the signature allows no recurrent state."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Labels for an observation, float32, shape (horizon, dof); see `Policy.act`."""
        feed: dict[str, NDArray[Any]] = {
            camera_input(name): images[None] for name, images in observation.images.items()
        }
        feed[STATE] = observation.state[None]
        return self.run(feed)[0]

    def run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Run the model on raw inputs of batch 1.

        Returns:
            float32, shape (1, horizon, dof).

        Raises:
            LearnedArmError: The model failed, or its output has another type or shape or is not finite.
        """
        wanted = (1, self.contract.action.horizon, self.contract.robot.dof)
        try:
            output = np.asarray(self._session.run([ACTION], dict(feed))[0])
        except CORRUPT as error:
            raise LearnedArmError("the policy failed", where=self.path.name, got=str(error)) from error
        if output.shape != wanted or output.dtype != np.float32:
            got = f"{output.dtype} {output.shape}"
            raise LearnedArmError(
                "wrong output of the policy", where=self.path.name, got=got, allowed=f"float32 {wanted}"
            )
        if not np.isfinite(output).all():
            raise LearnedArmError("output of the policy not finite", where=self.path.name, got="NaN or infinity")
        return output

    def _check_signature(self, signature: Any) -> None:
        where = f"{self.path.name}: signature"
        top = checked.Section(signature, where)
        inputs = top.take("inputs", checked.free_mapping)
        outputs = top.take("outputs", checked.free_mapping)
        recurrent = top.take("recurrent", checked.list_of(checked.text, shortest=0), default=())
        top.done()
        if recurrent:
            raise LearnedArmError("recurrent policies cannot be run", where=where, got=list(recurrent), allowed="[]")
        declared = {node.name: node for node in self._session.get_inputs()}
        given = {node.name: node for node in self._session.get_outputs()}
        for what, names, nodes in (("inputs", inputs, declared), ("outputs", outputs, given)):
            if set(names) != set(nodes):
                raise LearnedArmError(
                    f"{what} do not match the model", where=where, got=sorted(names), allowed=sorted(nodes)
                )
        expected = expected_inputs(self.contract)
        if set(declared) != set(expected):
            raise LearnedArmError(
                "inputs do not match the contract",
                where=self.path.name,
                got=sorted(declared),
                allowed=sorted(expected),
            )
        if ACTION not in given:
            raise LearnedArmError("output missing", where=self.path.name, got=sorted(given), allowed=ACTION)
        shape = (self.contract.action.horizon, self.contract.robot.dof)
        for node, (kind, tail) in [(declared[name], each) for name, each in expected.items()] + [
            (given[ACTION], ("tensor(float)", shape))
        ]:
            if node.type != kind or not _shape_fits(node.shape, tail):
                got, allowed = f"{node.type} {node.shape}", f"{kind} {['batch', *tail]}"
                raise LearnedArmError(
                    f"{node.name} has another shape or type", where=self.path.name, got=got, allowed=allowed
                )


def camera_input(name: str) -> str:
    """Name of a camera's input."""
    return f"observation.images.{name}"


def expected_inputs(contract: Contract) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape without the batch axis of every input that a contract asks for."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        camera_input(name): ("tensor(uint8)", (contract.history, *camera.size, 3))
        for name, camera in contract.cameras.items()
    }
    found[STATE] = ("tensor(float)", (contract.history, contract.robot.dof))
    return found


def load_policy(path: str | Path, threads: int = 1) -> OnnxPolicy:
    """Load a policy file and run its self-test; see `OnnxPolicy` and `self_test`."""
    policy = OnnxPolicy(path, threads)
    self_test(policy)
    return policy


def self_test(policy: OnnxPolicy) -> float:
    """Run the stored observations one at a time, as the node will, and compare.

    Returns:
        The largest absolute difference.

    Raises:
        LearnedArmError: It exceeds the tolerance, or the stored arrays do not fit the contract.
    """
    test, where = policy.selftest, f"{policy.path.name}: selftest"
    contract = policy.contract
    wanted = {name: (kind, (test.cases, *tail)) for name, (kind, tail) in expected_inputs(contract).items()}
    wanted[ACTION] = ("tensor(float)", (test.cases, contract.action.horizon, contract.robot.dof))
    kinds = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
    stored = {**test.inputs, **test.outputs}
    got = {name: (kinds[array.dtype.name], array.shape) for name, array in stored.items()}
    if got != wanted:
        raise LearnedArmError("stored arrays do not fit the contract", where=where, got=got, allowed=wanted)
    worst = 0.0
    for case in range(test.cases):
        output = policy.run({name: array[case : case + 1] for name, array in test.inputs.items()})
        worst = max(worst, float(np.abs(output[0] - test.outputs[ACTION][case]).max()))
    if not worst <= test.tolerance:
        raise LearnedArmError("self-test failed", where=where, got=f"off by {worst:.3g}", allowed=f"{test.tolerance:g}")
    return worst


def check_belongs(policy: Contract, own: Contract, where: str) -> None:
    """Refuse a policy whose contract is not the one of the robot in front of it.

    Raises:
        LearnedArmError: Names both sides and the first place where they differ.
    """
    if policy.hash != own.hash:
        place = _first_difference(policy.canonical(), own.canonical(), "")
        raise LearnedArmError(
            f"the policy belongs to another robot or task (first difference: {place})",
            where=where,
            got=f"{policy.task} on {policy.robot.name} ({policy.hash[:12]})",
            allowed=f"{own.task} on {own.robot.name} ({own.hash[:12]})",
        )


def _first_difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    return path


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin between calls cost half a core and slow the call down where cores are few.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options


def _shape_fits(shape: list[Any], tail: tuple[int, ...]) -> bool:
    """Whether a declared shape can be (1, *tail); a name or None stands for any length."""
    wanted = (1, *tail)
    return len(shape) == len(wanted) and all(
        not isinstance(got, int) or got == want for got, want in zip(shape, wanted, strict=True)
    )

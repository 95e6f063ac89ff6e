"""A policy file, loaded and held against its own description: what every kind of ONNX policy is built on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.policy_file import PolicyFile, read_policy_file
from learned_policy_node.runtime import LOOSE, Runtime
from learned_policy_node.selftest import SelfTest
from learned_policy_node.signature import input_forms, output_forms
from learned_policy_node.signature_json import parse_signature

_COLD_START_S = 60.0
_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class PolicyModel:
    """Loads and checks a policy file.

    Attributes:
        contract: The robot and task that the file names.
        signature: What its tensors mean.
        hash: Name of the policy, see `PolicyFile`.
        lineage: Who it was made from.
        foreign: Whether a sidecar describes it.
        tested: Whether its self-test has passed here.
        runtime: Runs it; says on what.

    Args:
        path: The .onnx file.
        threads: Threads inside an operator, 1 or 2; they sleep between calls.
        provider: Execution provider: `cpu`, `cuda`, `tensorrt` or `openvino`.
        file: What `read_policy_file` gave for the path, where it has been read already.

    Raises:
        LearnedArmError: The file is missing, too large, corrupt, not whole in itself or against its contract, or the
            provider cannot run it.
    """

    def __init__(
        self, path: str | Path, threads: int = 1, provider: str = "cpu", file: PolicyFile | None = None
    ) -> None:
        self.path = Path(path)
        file = file if file is not None else read_policy_file(self.path)
        self.hash, self.foreign, self.tested = file.hash, file.foreign, False
        described, name = file.properties, file.described_by
        self.contract = Contract.from_canonical(described["contract"], f"{name}: contract")
        self.lineage: dict[str, Any] = checked.free_mapping(described["lineage"], f"{name}: lineage")
        stored = described.get("selftest")
        self._selftest = SelfTest.from_json(stored, f"{name}: selftest") if stored is not None else None
        self.signature = parse_signature(described["signature"], self.contract, f"{name}: signature")
        self.runtime = Runtime(file.data, str(self.path), threads, provider)
        self._inputs = input_forms(self.signature, self.contract)
        self._outputs = output_forms(self.signature, self.contract)
        self._check_declared(f"{name}: signature")

    @property
    def kind(self) -> str:
        """`critic`, `recurrent`, `noise` or `regressor`."""
        if self.signature.critic is not None:
            return "critic"
        if self.signature.recurrent:
            return "recurrent"
        return "noise" if self.signature.noise else "regressor"

    @property
    def has_selftest(self) -> bool:
        """Whether the file carries one; a foreign one may not."""
        return self._selftest is not None

    @property
    def selftest(self) -> SelfTest:
        """Recorded inputs and the outputs they must give.

        Raises:
            LearnedArmError: There is none.
        """
        if self._selftest is None:
            raise LearnedArmError("no self-test", where=self.path, allowed="a key 'selftest' in its sidecar")
        return self._selftest

    @property
    def tolerance(self) -> float:
        """Largest difference that its self-test may show on the provider in use."""
        return max(self.selftest.tolerance, LOOSE.get(self.runtime.provider, 0.0))

    def run(self, feed: Mapping[str, NDArray[Any]], deadline_ns: int | None = None) -> dict[str, NDArray[np.float32]]:
        """Run the model on its raw inputs.

        Args:
            feed: Every input by name; those of batch B with B first.
            deadline_ns: Monotonic time at which it is cut off.

        Returns:
            The outputs that the signature uses, by name.

        Raises:
            PolicyTimeoutError: The deadline passed.
            LearnedArmError: The model failed, or an output has another type or shape or is not finite.
        """
        names = self.signature.outputs
        found = dict(zip(names, self.runtime.run(names, feed, deadline_ns), strict=True))
        candidate = self.signature.candidate
        batch = 1 if candidate is None else len(feed[candidate.name])
        for name, output in found.items():
            wanted = self._outputs[name]
            fits = output.shape == wanted
            if name == self.signature.value:
                wanted, fits = (batch,), output.shape in ((batch,), (batch, 1))
            if not fits or output.dtype != np.float32:
                got, allowed = f"{output.dtype} {output.shape}", f"float32 {wanted}"
                raise LearnedArmError("wrong output of the policy", where=self._place(name), got=got, allowed=allowed)
            if not np.isfinite(output).all():
                raise LearnedArmError("output of the policy not finite", where=self._place(name), got="NaN or infinity")
        return found

    def self_test(self, limit_s: float | None = None) -> float:
        """Run the stored cases one at a time, as the node will, on the provider in use, and compare.

        Args:
            limit_s: Longest time of a case; of the first, a cold start, at least a minute. None: no limit.

        Returns:
            The largest absolute difference.

        Raises:
            LearnedArmError: It exceeds the tolerance, or the stored arrays do not fit.
            PolicyTimeoutError: A case took longer than the limit.
        """
        test, where = self.selftest, f"{self.path.name}: selftest"
        self._check_stored(test, where)
        whole = {each.input for each in self.signature.recurrent} | {each.output for each in self.signature.recurrent}
        worst = 0.0
        for case in range(test.cases):
            rows = {
                name: slice(case, case + 1) if name not in whole else case for name in (*test.inputs, *test.outputs)
            }
            given = self.run({name: array[rows[name]] for name, array in test.inputs.items()}, _deadline(case, limit_s))
            for name, array in test.outputs.items():
                worst = max(worst, float(np.abs(given[name].ravel() - array[rows[name]].ravel()).max()))
        if not worst <= self.tolerance:
            raise LearnedArmError(
                "self-test failed", where=where, got=f"off by {worst:.3g}", allowed=f"{self.tolerance:g}"
            )
        self.tested = True
        return worst

    def _place(self, output: str) -> str:
        return self.path.name if output == self.signature.outputs[0] else f"{self.path.name}: {output}"

    def _check_stored(self, test: SelfTest, where: str) -> None:
        """All inputs, the first output and any of memory; cases lie on an axis of their own where memory has none."""
        memory = {each.input for each in self.signature.recurrent} | {each.output for each in self.signature.recurrent}
        forms = {**self._inputs, **{name: ("float32", shape) for name, shape in self._outputs.items()}}
        stored = {**test.inputs, **test.outputs}
        needed = {*self._inputs, self.signature.outputs[0]}
        wanted = {
            name: (kind, (test.cases, *(shape if name in memory else shape[1:])))
            for name, (kind, shape) in forms.items()
            if name in needed or name in stored
        }
        got = {name: (array.dtype.name, array.shape) for name, array in stored.items()}
        value = self.signature.value
        if value in got and got[value] == ("float32", (test.cases, 1)):
            wanted[value] = got[value]
        if got != wanted:
            raise LearnedArmError("stored arrays do not fit the contract", where=where, got=got, allowed=wanted)

    def _check_declared(self, where: str) -> None:
        declared, given = self.runtime.inputs, self.runtime.outputs
        if set(self._inputs) != set(declared):
            raise LearnedArmError(
                "inputs do not match the model", where=where, got=sorted(self._inputs), allowed=sorted(declared)
            )
        if not set(self._outputs) <= set(given):
            raise LearnedArmError(
                "outputs do not match the model", where=where, got=sorted(self._outputs), allowed=sorted(given)
            )
        for name, (kind, shape) in self._inputs.items():
            self._check_form(declared[name], _TYPES[kind], shape)
        for name, shape in self._outputs.items():
            if name == self.signature.value and len(given[name].shape) == 2:
                shape = (*shape, 1)
            self._check_form(given[name], _TYPES["float32"], shape)
        if self.signature.candidate is not None:
            batch = declared[self.signature.candidate.name].shape[0]
            if isinstance(batch, int):
                raise LearnedArmError("fixed batch of candidates", where=where, got=batch, allowed="a free batch axis")

    def _check_form(self, node: Any, kind: str, shape: tuple[int, ...]) -> None:
        if node.type != kind or not _shape_fits(node.shape, shape):
            got, allowed = f"{node.type} {node.shape}", f"{kind} {['batch', *shape[1:]]}"
            raise LearnedArmError(
                f"{node.name} has another shape or type", where=self.path.name, got=got, allowed=allowed
            )


def _deadline(case: int, limit_s: float | None) -> int | None:
    """Monotonic time at which a case of a self-test is cut off."""
    if limit_s is None:
        return None
    return time.monotonic_ns() + round((limit_s if case else max(limit_s, _COLD_START_S)) * 1e9)


def _shape_fits(declared: list[Any], wanted: tuple[int, ...]) -> bool:
    """Whether a declared shape can be the wanted one; a name or None stands for any length."""
    return len(declared) == len(wanted) and all(
        not isinstance(got, int) or got == want for got, want in zip(declared, wanted, strict=True)
    )

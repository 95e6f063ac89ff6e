"""A model in ONNX Runtime: which provider runs it, what it declares, one run that may be cut off."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_policy_node.policy import PolicyTimeoutError
from learned_policy_node.policy_file import CORRUPT
from learned_policy_node.watchdog import Watchdog

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""Execution providers by the name of the parameter."""
# Sums in another order and TF32 differ more than a CPU does.
LOOSE = {"cuda": 1e-3, "tensorrt": 1e-3}
"""Smallest tolerance of a self-test by provider, where the file's own is too strict."""
_BEHIND = {"tensorrt": ("cuda", "cpu"), "cuda": ("cpu",), "openvino": ("cpu",), "cpu": ()}
_MOST_THREADS = 2
_WATCHDOG = Watchdog()


class Runtime:
    """Runs a model.

    Building it from bytes holds the interpreter while they are parsed (a millisecond for a megabyte); from a path it
    does not.

    Attributes:
        provider: Name of the execution provider, a key of `PROVIDERS`; it is the one that runs.
        nodes: Operators by the provider they were given to: an accelerator leaves what it cannot do to the CPU.
        inputs, outputs: What the model declares, by name.

    Args:
        data: The .onnx file, or its path.
        where: Its name, for errors.
        threads: Threads inside an operator, 1 or 2; they sleep between calls.
        provider: A key of `PROVIDERS`.

    Raises:
        LearnedArmError: The model cannot be run, or not on that provider.
    """

    def __init__(self, data: bytes | Path, where: str, threads: int = 1, provider: str = "cpu") -> None:
        check_runtime(threads, provider)
        present = available_providers()
        self.provider, self._where = provider, where
        names = [PROVIDERS[each] for each in (provider, *_BEHIND[provider]) if each in present]
        try:
            model = data if isinstance(data, bytes) else str(data)
            self._session = onnxruntime.InferenceSession(model, _options(threads), providers=names, enable_fallback=0)
            in_use = self._session.get_providers()
            self.nodes = _assignment(self._session)
        except CORRUPT as error:
            raise LearnedArmError("cannot be run", where=where, got=str(error), allowed="an ONNX model") from error
        # Without its driver a provider drops out silently and the next in line takes over.
        if in_use[0] != PROVIDERS[provider] or (self.nodes and provider not in self.nodes):
            got = f"runs on {', '.join(self.nodes or in_use)}"
            raise LearnedArmError(f"{provider} cannot run it", where=where, got=got, allowed=f"a working {provider}")
        self.inputs = {node.name: node for node in self._session.get_inputs()}
        self.outputs = {node.name: node for node in self._session.get_outputs()}

    def run(
        self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]], deadline_ns: int | None = None
    ) -> list[NDArray[Any]]:
        """Run the model once.

        Args:
            outputs: Names of those wanted.
            feed: All inputs by name.
            deadline_ns: Monotonic time at which the run is cut off; None: it may take as long as it takes.

        Raises:
            PolicyTimeoutError: The deadline passed.
            LearnedArmError: The model failed.
        """
        if deadline_ns is None:
            return self._run(outputs, feed, None)
        started_ns = time.monotonic_ns()
        if deadline_ns <= started_ns:
            raise PolicyTimeoutError(self._where, 0.0)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4

        def terminate() -> None:
            options.terminate = True

        with _WATCHDOG.watch(deadline_ns, terminate) as watch:
            try:
                found = self._run(outputs, feed, options)
            except LearnedArmError:
                if not watch.expired:
                    raise
                found = []
        if watch.expired:
            raise PolicyTimeoutError(self._where, (time.monotonic_ns() - started_ns) / 1e9)
        return found

    def _run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]], options: Any) -> list[NDArray[Any]]:
        try:
            return [np.asarray(each) for each in self._session.run(list(outputs), dict(feed), options)]
        except CORRUPT as error:
            raise LearnedArmError("the policy failed", where=self._where, got=str(error)) from error


def check_runtime(threads: int, provider: str) -> None:
    """Refuse what no model could be run with.

    Raises:
        LearnedArmError: A wrong number of threads, or a provider that is unknown or not installed.
    """
    if not 1 <= threads <= _MOST_THREADS:
        raise LearnedArmError("wrong number of threads", got=threads, allowed=f"[1, {_MOST_THREADS}]")
    if provider not in PROVIDERS:
        raise LearnedArmError("unknown execution provider", got=provider, allowed=list(PROVIDERS))
    present = available_providers()
    if provider not in present:
        raise LearnedArmError("execution provider not installed", got=provider, allowed=present)


def available_providers() -> list[str]:
    """Names of the execution providers that the installed ONNX Runtime was built with."""
    built = set(onnxruntime.get_available_providers())
    return [name for name, long in PROVIDERS.items() if long in built]


def _assignment(session: onnxruntime.InferenceSession) -> dict[str, int]:
    short = {long: name for name, long in PROVIDERS.items()}
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[short.get(str(part.ep_name), str(part.ep_name))] += len(part.get_nodes())
    return dict(counts)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin between calls cost half a core and slow the call down where cores are few.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = 4
    return options

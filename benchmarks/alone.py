"""The model and the resize without anything around them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.streams import HEIGHT, WIDTH
from learned_arm.contract import Contract
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input


class Alone:
    """Times one ONNX Runtime call and one cv2.resize a camera.

    Attributes:
        model_ms: Of every `run`.
        resize_ms: Of every `run`, all cameras together.

    Args:
        model: The policy file.
        contract: Its contract.
    """

    def __init__(self, model: Path, contract: Contract) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        rng = np.random.default_rng(0)
        self._sizes = [camera.size for camera in contract.cameras.values()]
        self._pictures = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in self._sizes]
        self._feed: dict[str, NDArray[Any]] = {
            camera_input(name): rng.integers(0, 256, (1, 1, *camera.size, 3), dtype=np.uint8)
            for name, camera in contract.cameras.items()
        }
        self._feed[STATE] = np.array([[contract.robot.home_rad]], dtype=np.float32)
        self.model_ms: list[float] = []
        self.resize_ms: list[float] = []

    def run(self) -> None:
        """Time the resizes and one call."""
        t0 = time.perf_counter()
        for picture, (height, width) in zip(self._pictures, self._sizes, strict=True):
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        t1 = time.perf_counter()
        self._session.run([ACTION], self._feed)
        t2 = time.perf_counter()
        self.resize_ms.append((t1 - t0) * 1e3)
        self.model_ms.append((t2 - t1) * 1e3)

    def forget(self) -> None:
        """Begin to measure."""
        self.model_ms.clear()
        self.resize_ms.clear()

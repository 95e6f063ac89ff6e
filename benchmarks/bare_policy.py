"""One cv2.resize a camera and one ONNX Runtime call, with nothing around them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.streams import HEIGHT, WIDTH
from learned_arm.contract import Contract
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input

_PICTURE_BYTES = 3 * WIDTH * HEIGHT


class BarePolicy:
    """Resizes pictures and runs a model on made-up inputs of the same shapes: nothing is checked or put anywhere.

    Attributes:
        times_ms: Of every run, all resizes together and the call.

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
        self._feed: dict[str, NDArray[Any]] = {
            camera_input(name): rng.integers(0, 256, (1, 1, *camera.size, 3), dtype=np.uint8)
            for name, camera in contract.cameras.items()
        }
        self._feed[STATE] = np.array([[contract.robot.home_rad]], dtype=np.float32)
        self.times_ms: list[tuple[float, float]] = []

    def run(self, raws: Sequence[bytes]) -> None:
        """Resize the pictures, whose pixels are the last bytes of each message, and call the model."""
        t0 = time.perf_counter()
        for raw, (height, width) in zip(raws, self._sizes, strict=True):
            pixels = np.frombuffer(raw, np.uint8, offset=len(raw) - _PICTURE_BYTES).reshape(HEIGHT, WIDTH, 3)
            cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        t1 = time.perf_counter()
        self._session.run([ACTION], self._feed)
        self.times_ms.append(((t1 - t0) * 1e3, (time.perf_counter() - t1) * 1e3))

"""The self-test that a policy file carries: recorded observations and the outputs that its trainer gave.

As JSON: `{"inputs": {name: array}, "outputs": {name: array}, "tolerance": t}`; the first axis of every array
counts the cases. An array is `{"dtype", "shape", "data_b64"}`: C order, little-endian, zlib, base64.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.errors import LearnedArmError

DEFAULT_TOLERANCE = 1e-4
# A looser tolerance would let a policy pass that is not the one that was trained.
_LARGEST_TOLERANCE = 1e-2
_MOST_CASES = 256
_LARGEST_ARRAY_BYTES = 256_000_000
_DTYPES = ("uint8", "float32")


@dataclass(frozen=True)
class SelfTest:
    """Recorded inputs and expected outputs; the first axis counts the cases.

    Attributes:
        inputs: By input name, uint8 or float32.
        outputs: By output name, float32.
        tolerance: Largest absolute difference that passes, in the unit of the outputs.
    """

    inputs: Mapping[str, NDArray[Any]]
    outputs: Mapping[str, NDArray[Any]]
    tolerance: float = DEFAULT_TOLERANCE

    def __post_init__(self) -> None:
        arrays = {**self.inputs, **self.outputs}
        counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
        if not self.inputs or not self.outputs or len(set(counts.values())) != 1:
            raise LearnedArmError("self-test arrays do not match", got=counts, allowed="the same number of cases each")
        if not 1 <= self.cases <= _MOST_CASES:
            raise LearnedArmError("wrong number of self-test cases", got=self.cases, allowed=f"[1, {_MOST_CASES}]")
        bad = [name for name, array in arrays.items() if not np.isfinite(array).all()]
        if bad:
            raise LearnedArmError("self-test not finite", got=bad, allowed="finite numbers")

    @property
    def cases(self) -> int:
        """Number of recorded observations."""
        return len(next(iter(self.outputs.values())))

    def to_json(self) -> dict[str, Any]:
        """Plain data for the policy file's metadata."""
        return {
            "inputs": {name: _pack(array) for name, array in self.inputs.items()},
            "outputs": {name: _pack(array) for name, array in self.outputs.items()},
            "tolerance": self.tolerance,
        }

    @staticmethod
    def from_json(value: Any, where: str) -> SelfTest:
        """Read the plain data back.

        Raises:
            LearnedArmError: Any entry is wrong, or an array is larger than it declares.
        """
        top = checked.Section(value, where)
        inputs = {name: _unpack(each, f"{where}.inputs.{name}") for name, each in top.section("inputs").items()}
        outputs = {name: _unpack(each, f"{where}.outputs.{name}") for name, each in top.section("outputs").items()}
        tolerance = top.take("tolerance", checked.number(0.0, _LARGEST_TOLERANCE, open_low=True))
        top.done()
        return SelfTest(inputs, outputs, tolerance)


def _pack(array: NDArray[Any]) -> dict[str, Any]:
    if array.dtype.name not in _DTYPES:
        raise LearnedArmError("self-test array of another type", got=array.dtype.name, allowed=list(_DTYPES))
    little_endian = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = base64.b64encode(zlib.compress(little_endian.tobytes(), 9)).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data_b64": data}


def _unpack(value: Any, where: str) -> NDArray[Any]:
    section = checked.Section(value, where)
    dtype = np.dtype(section.take("dtype", checked.choice(*_DTYPES))).newbyteorder("<")
    shape = section.take("shape", checked.list_of(checked.integer(1, 1_000_000)))
    text = section.take("data_b64", checked.text)
    section.done()
    size = math.prod(shape) * dtype.itemsize
    if size > _LARGEST_ARRAY_BYTES:
        raise LearnedArmError("array too large", where=where, got=size, allowed=f"{_LARGEST_ARRAY_BYTES} bytes")
    try:
        # Unpacked up to one byte more than declared: a small text cannot grow without bound.
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise LearnedArmError(
            "array cannot be unpacked", where=where, got=str(error), allowed="base64 of zlib"
        ) from error
    if len(data) != size:
        raise LearnedArmError("array of another size", where=where, got=len(data), allowed=f"{size} bytes")
    return np.frombuffer(data, dtype).reshape(shape)

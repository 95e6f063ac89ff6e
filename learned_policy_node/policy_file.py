"""Reads a policy file that anyone may have written: bounded, whole in itself, its metadata as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, Message
from onnx.external_data_helper import uses_external_data
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state  # pyright: ignore[reportAttributeAccessIssue]

from learned_arm.errors import LearnedArmError

METADATA = ("contract", "signature", "lineage", "selftest")
_LARGEST_MODEL_BYTES = 1_000_000_000
_ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(ort_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
# A corrupt file fails in any of these, by where the damage lies.
CORRUPT = (
    *_ORT_ERRORS,
    DecodeError,
    UnicodeDecodeError,
    ValueError,
    RuntimeError,
    TypeError,
    RecursionError,
)


def read_file(path: Path) -> bytes:
    """The whole file, up to a gigabyte.

    Raises:
        LearnedArmError: It is missing, not a regular file, or too large.
    """
    try:
        if not path.is_file():
            raise LearnedArmError("no such file", where=path, allowed="an .onnx file")
        with path.open("rb") as file:
            data = file.read(_LARGEST_MODEL_BYTES + 1)
    except OSError as error:
        raise LearnedArmError("cannot be read", where=path, got=error.strerror, allowed="an .onnx file") from error
    if len(data) > _LARGEST_MODEL_BYTES:
        raise LearnedArmError("file too large", where=path, got=f"more than {_LARGEST_MODEL_BYTES} bytes")
    return data


def read_metadata(data: bytes, path: Path) -> dict[str, Any]:
    """The `learned_arm.*` metadata as plain data by the names in `METADATA`.

    Raises:
        LearnedArmError: The model is corrupt, has tensors outside the file, or lacks an entry.
    """
    try:
        model = onnx.load_model_from_string(data)
        outside = [tensor.name for tensor in _tensors(model) if uses_external_data(tensor)]
        texts = {entry.key: entry.value for entry in model.metadata_props}
    except CORRUPT as error:
        raise LearnedArmError("corrupt model", where=path, got=str(error), allowed="an ONNX file") from error
    if outside:
        raise LearnedArmError(
            "tensors outside the file", where=path, got=outside[:4], allowed="one file with everything in it"
        )
    found: dict[str, Any] = {}
    for key in METADATA:
        name = f"learned_arm.{key}"
        if name not in texts:
            raise LearnedArmError(f"no metadata '{name}'", where=path, got=sorted(texts), allowed="an exported policy")
        try:
            found[key] = json.loads(texts[name])
        except (ValueError, RecursionError) as error:
            raise LearnedArmError(f"metadata '{name}' is no JSON", where=path, got=str(error)) from error
    return found


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, in whatever graph, function or attribute it lies."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if isinstance(value, Message) else value:
                yield from _tensors(each)

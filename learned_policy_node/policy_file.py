"""Reads a policy file that anyone may have written: bounded, whole in itself, its metadata as plain data.

A file of this project carries its metadata. A foreign one has a sidecar beside it, see `sidecar`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, Message
from onnx.external_data_helper import uses_external_data
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state  # pyright: ignore[reportAttributeAccessIssue]

from learned_arm.canonical import hash_of, sha256_hex
from learned_arm.errors import LearnedArmError
from learned_policy_node.seal import check_seal
from learned_policy_node.sidecar import read_sidecar, sidecar_path

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


@dataclass(frozen=True)
class PolicyFile:
    """A policy as it lies on the disk, not yet checked.

    Attributes:
        data: Bytes of the .onnx file, or where they lie.
        hash: SHA-256 of the file; of a foreign one, of the hashes of file and description.
        properties: By the names in `METADATA`; a foreign file may lack `selftest`.
        described_by: Name of the file that the properties come from.
        foreign: Whether that is a sidecar.
    """

    data: bytes | Path
    hash: str
    properties: dict[str, Any]
    described_by: str
    foreign: bool

    @property
    def critic(self) -> bool:
        """Whether it says that it is a critic."""
        signature = self.properties["signature"]
        return isinstance(signature, dict) and signature.get("critic") is not None


def read_policy_file(path: Path) -> PolicyFile:
    """Read a policy and its description.

    Raises:
        LearnedArmError: It cannot be read, is corrupt or not whole in itself, or has no description or two.
    """
    data = read_file(path)
    texts = _read_texts(data, path)
    sidecar = sidecar_path(path)
    if sidecar is None:
        return PolicyFile(data, sha256_hex(data), _read_metadata(texts, path), path.name, False)
    own = sorted(texts.keys() & {f"learned_arm.{key}" for key in METADATA})
    if own:
        raise LearnedArmError(
            "described twice", where=path, got=f"{own[0]} inside and {sidecar.name} beside it", allowed="one of them"
        )
    properties = read_sidecar(sidecar)
    name = hash_of({"model": sha256_hex(data), "sidecar": properties})
    return PolicyFile(data, name, properties, sidecar.name, True)


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


def _read_texts(data: bytes, path: Path) -> dict[str, str]:
    try:
        model = onnx.load_model_from_string(data)
        outside = [tensor.name for tensor in _tensors(model) if uses_external_data(tensor)]
        texts = {entry.key: entry.value for entry in model.metadata_props}
    except CORRUPT as error:
        raise LearnedArmError("corrupt model", where=path, got=str(error), allowed="an ONNX file") from error
    check_seal(data, model, path)
    if outside:
        raise LearnedArmError(
            "tensors outside the file", where=path, got=outside[:4], allowed="one file with everything in it"
        )
    return texts


def _read_metadata(texts: dict[str, str], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in METADATA:
        name = f"learned_arm.{key}"
        if name not in texts:
            allowed = f"an exported policy, or {path.stem}.yaml beside a foreign one"
            raise LearnedArmError(f"no metadata '{name}'", where=path, got=sorted(texts), allowed=allowed)
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

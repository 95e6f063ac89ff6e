"""The seal of a policy file: a hash over all its bytes, kept in the file itself. Whatever was altered breaks it.

The seal protects against accidents on disks and on the way, and against editing a file by hand. It is no signature:
whoever can write the file can seal it again.
"""

from __future__ import annotations

import onnx

from learned_arm.canonical import sha256_hex
from learned_arm.errors import LearnedArmError

KEY = "learned_arm.seal"
PRODUCER = "learned_arm"
"""Named by every sealed file, so that a seal that is gone is missed."""
_OPEN = "0" * 64


def sealed(model: onnx.ModelProto) -> bytes:
    """The model as a file with its seal."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.producer_name = PRODUCER
    whole.metadata_props.add(key=KEY, value=_OPEN)
    data = whole.SerializeToString()
    return _replaced(data, _OPEN, sha256_hex(data))


def check_seal(data: bytes, model: onnx.ModelProto, where: object) -> None:
    """Check the seal of a file, where it has one.

    Args:
        data: The file.
        model: The same, read.
        where: Its name, for errors.

    Raises:
        LearnedArmError: A byte of it was altered, or it should have a seal and has none.
    """
    seals = [entry.value for entry in model.metadata_props if entry.key == KEY]
    if not seals and model.producer_name != PRODUCER:
        return
    # Bytes that are no text are read as bytes.
    whole = len(seals) == 1 and isinstance(seals[0], str) and len(seals[0]) == len(_OPEN)
    if not whole or sha256_hex(_replaced(data, seals[0], _OPEN)) != seals[0]:
        raise LearnedArmError("altered after it was written", where=where, got=f"seal {seals}", allowed="its own seal")


def _replaced(data: bytes, seal: str, by: str) -> bytes:
    """The file with another seal in the place of its own, which stands behind its key."""
    place = data.rfind(KEY.encode())
    at = data.find(seal.encode(), place)
    return data if place < 0 or at < 0 else data[:at] + by.encode() + data[at + len(by) :]

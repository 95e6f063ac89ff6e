"""A training on disk: weights, optimizer and curve in one file that is whole or absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from learned_arm.durable import write_whole
from learned_arm.errors import LearnedArmError

CHECKPOINT_FILE = "checkpoint.pt"
CHECKPOINT_VERSION = 1


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain data, whole or not at all.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"version": CHECKPOINT_VERSION, **content}, buffer)
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises:
        LearnedArmError: It is missing, no checkpoint, or of another version.
    """
    allowed = "a file that train wrote"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["version"]
    except Exception as error:  # torch.load raises whatever the damage leads to
        raise LearnedArmError("checkpoint cannot be read", where=path, got=str(error), allowed=allowed) from error
    if version != CHECKPOINT_VERSION:
        raise LearnedArmError("checkpoint of another version", where=path, got=version, allowed=CHECKPOINT_VERSION)
    return content

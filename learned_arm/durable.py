"""Files that are whole or absent: written under a temporary name, made durable, renamed."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from learned_arm.errors import LearnedArmError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a power cut, finds the old content or the new one.

    Raises:
        OSError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write plain data as indented JSON, whole or not at all. NaN and infinity are refused."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path, largest_bytes: int = 64_000_000) -> Any:
    """Read a JSON file of bounded size.

    Raises:
        LearnedArmError: It is missing, too large or no JSON.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(largest_bytes + 1)
        if len(data) > largest_bytes:
            raise LearnedArmError("file too large", where=path, got=len(data), allowed=f"{largest_bytes} bytes")
        return json.loads(data)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise LearnedArmError("cannot be read", where=path, got=str(error), allowed="a JSON file") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_folder(source: Path, target: Path) -> None:
    """Give a finished folder its final name, durably.

    Raises:
        OSError: The target exists and is not empty.
    """
    sync_folder(source)
    os.rename(source, target)
    sync_folder(target.parent)

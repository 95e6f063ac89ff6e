"""Statements on disk that show when they were altered: plain data, its kind, and the hash of its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from learned_arm.canonical import hash_of
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError

Statement = TypeVar("Statement")
_VERSION = 1


def write_sealed(path: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Write a statement, whole or not at all; its folder is made.

    Args:
        path: Of the file.
        kind: The key of the file's version, such as `replay`.
        content: Plain data.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {kind: _VERSION, **content, "hash": hash_of(content)})


def read_sealed(path: Path, kind: str, build: Callable[[dict[str, Any]], Statement]) -> Statement:
    """Read a statement.

    Args:
        path: Of the file.
        kind: As it was written.
        build: Makes it of the content; what is missing or superfluous there is an error.

    Raises:
        LearnedArmError: It is missing, altered, or of another kind.
    """
    content = read_json(path)
    try:
        stated, version = content.pop("hash"), content.pop(kind)
        hash_found = hash_of(content)
        found = build(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LearnedArmError(f"no statement of the kind {kind}", where=path, got=str(error)) from error
    if version != _VERSION or stated != hash_found:
        raise LearnedArmError(f"statement of the kind {kind} was altered", where=path, got=hash_found, allowed=stated)
    return found

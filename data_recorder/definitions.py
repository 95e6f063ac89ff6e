"""Message definitions as bags carry them: the .msg text of a type and of all that it is built of."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from learned_arm.errors import LearnedArmError
from learned_arm.software import prefixes

_SEPARATOR = "=" * 80
_TYPE = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)")
_FIELD = re.compile(r"^\s*(?:([a-z][a-z0-9_]*)/)?([A-Z][A-Za-z0-9]*)(?:\[[^\]]*\])?\s+[A-Za-z]")


def split_type(message_type: str) -> tuple[str, str]:
    """`sensor_msgs/msg/Image` -> package and name."""
    match = _TYPE.fullmatch(message_type)
    if match is None:
        raise LearnedArmError("not a message type", got=message_type, allowed="<package>/msg/<Name>")
    return match[1], match[2]


def message_folders() -> list[Path]:
    """Folders that may hold `<package>/msg`: share of every ament prefix, and of this Python (wheels)."""
    return [prefix / "share" for prefix in prefixes(os.environ)]


def schema_text(message_type: str, folders: Iterable[Path] | None = None) -> str:
    """Definition of a type in the form `ros2msg`: its text, then a section for every type that it needs.

    Raises:
        LearnedArmError: A definition is nowhere installed.
    """
    folders = list(message_folders() if folders is None else folders)
    written: set[str] = {message_type}

    def section(each: str) -> str:
        text = _file(each, ".msg", folders).read_text(encoding="utf-8")
        for needed in sorted(_needs(text, split_type(each)[0])):
            if needed not in written:
                written.add(needed)
                package, name = split_type(needed)
                text += f"\n{_SEPARATOR}\nMSG: {package}/{name}\n{section(needed)}"
        return text

    return section(message_type)


def type_hash(message_type: str, folders: Iterable[Path] | None = None) -> str:
    """The RIHS01 hash that ships beside a definition, '' where none does."""
    try:
        path = _file(message_type, ".json", list(message_folders() if folders is None else folders))
        hashes = {each["type_name"]: each["hash_string"] for each in json.loads(path.read_bytes())["type_hashes"]}
    except (LearnedArmError, KeyError, TypeError, ValueError):
        return ""
    return hashes.get(message_type, "")


def _needs(text: str, package: str) -> set[str]:
    """Types named in a definition; a bare name lies in the same package, except Header."""
    found = set()
    for line in text.splitlines():
        match = _FIELD.match(line.split("#", 1)[0])
        if match:
            owner = match[1] or ("std_msgs" if match[2] == "Header" and package != "std_msgs" else package)
            found.add(f"{owner}/msg/{match[2]}")
    return found


def _file(message_type: str, suffix: str, folders: list[Path]) -> Path:
    package, name = split_type(message_type)
    for folder in folders:
        path = folder / package / "msg" / f"{name}{suffix}"
        if path.is_file():
            return path
    raise LearnedArmError(
        f"no definition of {message_type}", got=[str(each) for each in folders], allowed="its package"
    )

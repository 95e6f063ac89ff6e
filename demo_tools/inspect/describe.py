"""Tells kinds apart by what lies in a folder, and writes the facts as text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_recorder.episode_writer import DRAFT_FILE
from data_recorder.rosbag2_metadata import FILE_NAME as BAG_FILE
from demo_tools.dataset.manifest import FILE_NAME as MANIFEST_FILE
from demo_tools.inspect import artifacts
from learned_arm.episode import EPISODE_FILE
from learned_arm.errors import LearnedArmError

Facts = dict[str, Any]
_RUN_FILES = ("summary.json", "record.json", "evaluation.json")
# The first that fits decides: an episode's folder is also a bag.
_FOLDERS: tuple[tuple[tuple[str, ...], Callable[[Path], Facts]], ...] = (
    ((EPISODE_FILE,), artifacts.episode),
    ((DRAFT_FILE,), artifacts.unfinished),
    ((MANIFEST_FILE,), artifacts.dataset),
    (_RUN_FILES, artifacts.run),
    ((BAG_FILE,), artifacts.bag),
)
_FILES: dict[str, Callable[[Path], Facts]] = {".onnx": artifacts.policy, ".mcap": artifacts.bag}


def describe(path: Path) -> Facts:
    """Facts about a bag, episode, dataset, policy file or run: `kind` first, then what matters about that kind.

    Everything that has a hash is read whole and checked against it.

    Raises:
        LearnedArmError: It is none of these, or it is damaged.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix not in _FILES:
            raise LearnedArmError(
                "not a kind of file that is known",
                where=path,
                got=path.suffix or "no suffix",
                allowed=list(_FILES),
            )
        return _FILES[path.suffix](path)
    if not path.is_dir():
        raise LearnedArmError("no such file or folder", got=str(path))
    for names, reader in _FOLDERS:
        if any((path / name).is_file() for name in names):
            return reader(path)
    known = ", ".join(name for names, _ in _FOLDERS for name in names)
    raise LearnedArmError("not a kind of folder that is known", where=path, allowed=f"one that holds any of {known}")


def inspect_path(path: Path) -> str:
    """The same as text, a fact a line."""
    return "\n".join(_lines(describe(path), 0))


def _lines(facts: Facts, depth: int) -> list[str]:
    indent = "  " * depth
    width = max((len(str(key)) for key, value in facts.items() if not _nested(value)), default=0)
    lines: list[str] = []
    for key, value in facts.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{key}", *_lines(value, depth + 1)]
        elif isinstance(value, list) and value:
            lines += [f"{indent}{key}", *(f"{indent}  {each}" for each in value)]
        else:
            lines.append(f"{indent}{key:<{width}}  {_word(value)}")
    return lines


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == {} or value == []:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)

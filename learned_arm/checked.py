"""Reads configuration with every key accounted for: the checks that `robot` and `contract` are built of."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from learned_arm.errors import LearnedArmError

T = TypeVar("T")
_LARGEST_CONFIG_BYTES = 1_000_000


class Section:
    """One mapping of a configuration file: each key is taken once, and what is left over is an error.

    Args:
        value: What the file holds at this place.
        where: Name of the place, such as `pick_cube.yaml: action`.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise LearnedArmError("not a mapping", where=where, got=value, allowed="key: value pairs")
        self._left: dict[Any, Any] = dict(value)
        self._keys: list[str] = []
        self.where = where

    def take(self, key: str, check: Callable[[Any, str], T], default: Any = ...) -> T:
        """Take a key through its check. A missing key is an error unless a default is given."""
        self._keys.append(key)
        if key not in self._left:
            if default is ...:
                raise LearnedArmError(f"missing key '{key}'", where=self.where, got=sorted(map(str, self._left)))
            return default
        return check(self._left.pop(key), f"{self.where}.{key}")

    def section(self, key: str) -> Section:
        """Take a nested mapping."""
        return self.take(key, Section)

    def items(self) -> list[tuple[str, Any]]:
        """Take everything that is left, for mappings whose keys are names."""
        taken = [(str(key), value) for key, value in self._left.items()]
        self._left = {}
        return taken

    def done(self) -> None:
        """Raise when the file holds a key that nobody took."""
        if self._left:
            raise LearnedArmError(
                "unknown key", where=self.where, got=sorted(map(str, self._left)), allowed=sorted(self._keys)
            )


def text(value: Any, where: str) -> str:
    """A non-empty string."""
    if not isinstance(value, str) or not value:
        raise LearnedArmError("not a text", where=where, got=value, allowed="non-empty string")
    return value


def topic(value: Any, where: str) -> str:
    """An absolute ROS topic name."""
    name = text(value, where)
    if not name.startswith("/") or name.endswith("/") or "//" in name or " " in name:
        raise LearnedArmError("not an absolute topic name", where=where, got=name, allowed="/name or /namespace/name")
    return name


def number(low: float, high: float, *, open_low: bool = False) -> Callable[[Any, str], float]:
    """A finite number in [low, high], or in (low, high]."""

    def check(value: Any, where: str) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not good or not low <= value <= high or (open_low and value == low):
            bracket = "(" if open_low else "["
            raise LearnedArmError("not a number in range", where=where, got=value, allowed=f"{bracket}{low}, {high}]")
        return float(value)

    return check


def integer(low: int, high: int) -> Callable[[Any, str], int]:
    """An integer in [low, high]."""

    def check(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise LearnedArmError("not an integer in range", where=where, got=value, allowed=f"[{low}, {high}]")
        return value

    return check


def choice(*allowed: str) -> Callable[[Any, str], str]:
    """One of the given words."""

    def check(value: Any, where: str) -> str:
        if value not in allowed:
            raise LearnedArmError("unknown value", where=where, got=value, allowed=list(allowed))
        return value

    return check


def list_of(check: Callable[[Any, str], T], *, shortest: int = 1) -> Callable[[Any, str], tuple[T, ...]]:
    """A list whose every entry passes a check."""

    def check_list(value: Any, where: str) -> tuple[T, ...]:
        if not isinstance(value, list | tuple) or len(value) < shortest:
            raise LearnedArmError("not a list", where=where, got=value, allowed=f"list of {shortest} or more entries")
        return tuple(check(entry, f"{where}[{index}]") for index, entry in enumerate(value))

    return check_list


def free_mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping that is passed on as it is, such as a driver's launch arguments."""
    if not isinstance(value, dict):
        raise LearnedArmError("not a mapping", where=where, got=value, allowed="key: value pairs")
    return {str(key): entry for key, entry in value.items()}


def load_yaml(name_or_path: str | Path, kind: str) -> tuple[Any, str]:
    """Read a YAML file by path, or a shipped one by name.

    Args:
        name_or_path: A path that ends in .yaml, or the name of a file under `learned_arm/config/<kind>/`.
        kind: `robots` or `contracts`.

    Returns:
        The content, and a short name of the file for error texts.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        shipped = Path(str(resources.files("learned_arm").joinpath("config", kind)))
        path = shipped / f"{name_or_path}.yaml"
        if not path.is_file():
            names = sorted(entry.stem for entry in shipped.glob("*.yaml"))
            raise LearnedArmError(f"no such entry in {kind}", got=str(name_or_path), allowed=names)
    try:
        raw = path.read_bytes()
        if len(raw) > _LARGEST_CONFIG_BYTES:
            raise LearnedArmError("file too large", where=path, got=len(raw), allowed=f"{_LARGEST_CONFIG_BYTES} bytes")
        return yaml.safe_load(raw), path.name
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LearnedArmError("cannot be read", where=path, got=str(error), allowed="a YAML file") from error

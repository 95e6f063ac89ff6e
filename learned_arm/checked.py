"""Reads configuration with every key accounted for: the checks that `robot` and `contract` are built of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml

from learned_arm.errors import LearnedArmError

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")
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
    """A non-empty string that UTF-8 can hold."""
    if not isinstance(value, str) or not value or not _is_unicode(value):
        raise LearnedArmError("not a text", where=where, got=value, allowed="non-empty string")
    return value


def name(value: Any, where: str) -> str:
    """A name that may become a folder, a column or a tensor: letters, digits, `_` and `-`, 1 to 64 of them."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise LearnedArmError("not a name", where=where, got=value, allowed=NAME.pattern)
    return value


def topic(value: Any, where: str) -> str:
    """An absolute ROS topic name."""
    absolute = text(value, where)
    if not _TOPIC.fullmatch(absolute):
        raise LearnedArmError(
            "not an absolute topic name", where=where, got=absolute, allowed="/name or /namespace/name"
        )
    return absolute


def number(low: float, high: float, *, open_low: bool = False) -> Callable[[Any, str], float]:
    """A finite number in [low, high], or in (low, high]."""

    def check(value: Any, where: str) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not good or (open_low and value == low):
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


def boolean(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise LearnedArmError("not true or false", where=where, got=value, allowed="true or false")
    return value


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


def unlike(values: Sequence[str], what: str, where: str) -> None:
    """Raise when a value occurs twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise LearnedArmError(what, where=where, got=twice, allowed="each once")


def free_mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping that is passed on as it is, such as a driver's launch arguments: plain data that JSON keeps."""
    if not isinstance(value, dict):
        raise LearnedArmError("not a mapping", where=where, got=value, allowed="key: value pairs")
    _require_plain(value, where)
    return value


def _require_plain(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise LearnedArmError("key is not a text", where=where, got=key, allowed="texts as keys")
            _require_plain(entry, f"{where}.{key}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            _require_plain(entry, f"{where}[{index}]")
    elif not (
        value is None
        or isinstance(value, int)
        or (isinstance(value, float) and math.isfinite(value))
        or (isinstance(value, str) and _is_unicode(value))
    ):
        allowed = "text, finite number, bool, list, mapping"
        raise LearnedArmError("not plain data", where=where, got=value, allowed=allowed)


def _is_unicode(value: str) -> bool:
    """Whether it holds no half of a surrogate pair, which YAML can spell and UTF-8 cannot."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself lets the last of two equal keys win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                problem = f"duplicate key '{key_node.value}'"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


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
    except (OSError, ValueError) as error:
        raise LearnedArmError("cannot be read", where=path, got=str(error), allowed="a YAML file") from error
    if len(raw) > _LARGEST_CONFIG_BYTES:
        raise LearnedArmError("file too large", where=path, got=len(raw), allowed=f"{_LARGEST_CONFIG_BYTES} bytes")
    try:
        return yaml.load(raw, _Loader), path.name
    # Beyond its own errors PyYAML lets those of the values through: a date that does not exist, too deep a nesting.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LearnedArmError("cannot be read", where=path, got=str(error), allowed="a YAML file") from error

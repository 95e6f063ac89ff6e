"""YAML out of foreign bags: nothing in it can crash the reader or take much memory or time."""

from __future__ import annotations

from typing import Any

import yaml

from learned_arm.errors import LearnedArmError

LARGEST_BYTES = 4_000_000
_DEEPEST = 50
_MOST_EVENTS = 200_000
_LONGEST_PLAIN = 100_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load(data: bytes | str, where: object) -> Any:
    """Plain data.

    Args:
        data: The text.
        where: What an error names.

    Raises:
        LearnedArmError: It is no YAML, too large, nested too deeply, or a bomb.
    """
    if len(data) > LARGEST_BYTES:
        raise LearnedArmError("file too large", where=where, allowed=f"{LARGEST_BYTES} bytes")
    try:
        _check(data)
        return yaml.load(data, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise LearnedArmError("cannot be read", where=where, got=str(error), allowed="plain YAML") from error


def _check(data: bytes | str) -> None:
    """Look at the flat list of events first: libyaml's loader recurses in C, and builds objects for everything."""
    depth = 0
    for count, event in enumerate(yaml.parse(data, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and not event.style:
            # Merged mappings can multiply, and a number in base 60 takes the square of its length to read.
            if event.value == "<<":
                raise ValueError("merged mappings")
            if len(event.value) > _LONGEST_PLAIN:
                raise ValueError(f"an unquoted value longer than {_LONGEST_PLAIN}")
        if depth > _DEEPEST:
            raise ValueError(f"nested deeper than {_DEEPEST}")
        if count > _MOST_EVENTS:
            raise ValueError(f"more than {_MOST_EVENTS} parts")

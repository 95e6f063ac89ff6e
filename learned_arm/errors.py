"""The one error that users meet: what is wrong, where, what was got and what is allowed, on one line."""

from __future__ import annotations

from typing import Any

_LONGEST_VALUE = 200


class LearnedArmError(ValueError):
    """A user-facing error.

    Args:
        what: What is wrong, in words.
        where: The file, key, topic or joint it was found at.
        got: The offending value; shortened when it is long.
        allowed: What would have been accepted.
    """

    def __init__(self, what: str, *, where: object = None, got: Any = None, allowed: object = None) -> None:
        self.what, self.where, self.got, self.allowed = what, where, got, allowed
        parts = [f"{where}: {what}" if where is not None else what]
        if got is not None:
            parts.append(f"got {_short(got)}")
        if allowed is not None:
            parts.append(f"allowed: {_short(allowed)}")
        # Names inside the parts come from files; a line break in one would make two lines of the error.
        super().__init__(" ".join("; ".join(parts).split()))


def _short(value: object) -> str:
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."

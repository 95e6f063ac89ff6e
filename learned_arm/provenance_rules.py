"""The rule file of the diff: how much a change matters, by where it is. First match wins; checked whole at load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.errors import LearnedArmError

RULES_VERSION = 1
SEPARATOR = " > "
ROLES = ("control", "camera", "other")
_IGNORE = "ignore"


class Severity(IntEnum):
    """What a change asks for; also the exit status of `learned-arm diff`."""

    S0 = 0
    """Information."""
    S1 = 1
    """Revalidate: run the golden predictions again."""
    S2 = 2
    """Replay-invalid: replay labels before they are used together."""
    S3 = 3
    """Policy-invalid: neither train on both nor run a policy of the one on the other."""


@dataclass(frozen=True)
class Rule:
    """What a change at a place means.

    Attributes:
        path: Pattern a segment: `*` and `?` as in file names, `**` for any number of segments.
        severity: None: the change is no change.
        reason: Why, in words.
        absolute: Numbers that differ by no more than this are equal.
        relative: The same, as a share of the larger of the two.
    """

    path: tuple[str, ...]
    severity: Severity | None
    reason: str
    absolute: float
    relative: float

    def matches(self, path: Sequence[str]) -> bool:
        """Whether a place falls under this rule."""
        return _matches(self.path, tuple(path))

    def tolerates(self, before: Any, after: Any) -> bool:
        """Whether two values are equal, numbers within the tolerance."""
        if type(before) is list and type(after) is list:
            return len(before) == len(after) and all(map(self.tolerates, before, after))
        if _is_number(before) and _is_number(after):
            return self._are_near(before, after)
        return type(before) is type(after) and bool(before == after)

    def _are_near(self, before: Any, after: Any) -> bool:
        return abs(before - after) <= self.absolute + self.relative * max(abs(before), abs(after))


@dataclass(frozen=True)
class Rules:
    """A rule file.

    Attributes:
        roles: Name patterns of nodes by role, `control` and `camera`; other nodes are `other`.
        rules: In order; the last one matches everything.
    """

    roles: dict[str, tuple[str, ...]]
    rules: tuple[Rule, ...]

    def rule(self, path: Sequence[str]) -> Rule:
        """The first rule that matches."""
        return next(each for each in self.rules if each.matches(path))

    def role(self, node: str) -> str:
        """The role of a node by its full name."""
        found = (role for role, patterns in self.roles.items() if any(fnmatchcase(node, each) for each in patterns))
        return next(found, "other")


def load_rules(path: Path | None = None) -> Rules:
    """Read a rule file, by default the one that ships.

    Raises:
        LearnedArmError: An unknown key or severity, a missing reason, or no last rule for everything.
    """
    shipped = Path(str(resources.files("learned_arm").joinpath("config", "provenance_rules.yaml")))
    value, where = checked.load_yaml(path or shipped, "provenance_rules")
    return parse_rules(value, where)


def parse_rules(value: Any, where: str) -> Rules:
    """Check the content of a rule file whole.

    Raises:
        LearnedArmError: Any entry is wrong.
    """
    top = checked.Section(value, where)
    top.take("rules", checked.integer(RULES_VERSION, RULES_VERSION))
    section = top.section("roles")
    roles = {role: section.take(role, checked.list_of(checked.text), default=()) for role in ROLES[:-1]}
    section.done()
    rules = top.take("changes", checked.list_of(_rule))
    top.done()
    paths = [SEPARATOR.join(each.path) for each in rules]
    checked.unlike(paths, "two rules for one path", f"{where}.changes")
    if rules[-1].path != ("**",) or rules[-1].severity is None:
        what = "the last rule does not match every change"
        raise LearnedArmError(what, where=f"{where}.changes", got=paths[-1], allowed="path: '**' with a severity")
    return Rules(roles, rules)


def _rule(value: Any, where: str) -> Rule:
    section = checked.Section(value, where)
    path = tuple(section.take("path", checked.text).split(SEPARATOR))
    if not all(each.strip() == each != "" for each in path):
        allowed = f"names joined by '{SEPARATOR}'"
        raise LearnedArmError("not a path", where=section.where, got=list(path), allowed=allowed)
    word = section.take("severity", checked.choice(_IGNORE, *(each.name for each in Severity)))
    severity = None if word == _IGNORE else Severity[word]
    reason = section.take("reason", checked.text, default="" if severity is None else ...)
    tolerance = checked.number(0.0, 1e6)
    absolute = section.take("absolute", tolerance, default=0.0)
    relative = section.take("relative", checked.number(0.0, 1.0), default=0.0)
    section.done()
    return Rule(path, severity, reason, absolute, relative)


def _matches(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

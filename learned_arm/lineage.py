"""Who was made from what: statements that name everything by the hash of its content.

A statement says: this subject (a dataset, a policy) has this content, and was made from those. Following `made_from`
from statement to statement leads from a policy back to the messages of every demonstration in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.canonical import canonical_json, hash_of
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError

LINEAGE_VERSION = 1
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Statement:
    """One statement; it never changes, and its hash is its name.

    Attributes:
        kind: What the subject is: `dataset`, `policy`.
        subject_hash: SHA-256 of the subject's content.
        made_from: Role -> SHA-256 of what it was made from, such as `contract`, `dataset`, `episode 0003`.
        facts: How it was made, as plain data: seed, versions, counts.

    Raises:
        LearnedArmError: A hash is none, or the facts are no plain data.
    """

    kind: str
    subject_hash: str
    made_from: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role, value in {"subject": self.subject_hash, **self.made_from}.items():
            if not isinstance(value, str) or not _HASH.fullmatch(value):
                where = f"lineage of a {self.kind}: {role}"
                raise LearnedArmError("not a SHA-256", where=where, got=value, allowed="64 lower-case hex digits")
        try:
            canonical_json(self.facts)
        except (TypeError, ValueError) as error:
            where = f"lineage of a {self.kind}"
            raise LearnedArmError("facts are no plain data", where=where, got=str(error)) from error

    @property
    def hash(self) -> str:
        """Content hash of the statement."""
        return hash_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the hash."""
        return {
            "lineage": LINEAGE_VERSION,
            "kind": self.kind,
            "subject": self.subject_hash,
            "made_from": dict(self.made_from),
            "facts": self.facts,
        }

    def save(self, path: Path) -> None:
        """Write as JSON beside the subject, whole or not at all."""
        write_json(path, {**self.to_json(), "hash": self.hash})

    @staticmethod
    def load(path: Path) -> Statement:
        """Read a statement back.

        Raises:
            LearnedArmError: It is missing, wrong in any entry, or not what its hash names.
        """
        top = checked.Section(read_json(path), str(path))
        top.take("lineage", checked.integer(LINEAGE_VERSION, LINEAGE_VERSION))
        statement = Statement(
            kind=top.take("kind", checked.text),
            subject_hash=top.take("subject", checked.text),
            made_from=top.take("made_from", checked.free_mapping),
            facts=top.take("facts", checked.free_mapping),
        )
        stated = top.take("hash", checked.text)
        top.done()
        if statement.hash != stated:
            raise LearnedArmError("statement was altered", where=path, got=statement.hash, allowed=stated)
        return statement

"""A statement is named by its content, survives the disk, and shows when it was altered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from learned_arm.errors import LearnedArmError
from learned_arm.lineage import Statement

STATEMENT = Statement("dataset", "a" * 64, {"contract": "b" * 64, "episode 0000": "c" * 64}, {"seed": 0, "frames": 12})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    STATEMENT.save(tmp_path / "lineage.json")
    assert Statement.load(tmp_path / "lineage.json") == STATEMENT


def test_the_hash_is_blind_to_order_and_sees_every_entry() -> None:
    turned = Statement("dataset", "a" * 64, {"episode 0000": "c" * 64, "contract": "b" * 64}, {"frames": 12, "seed": 0})
    assert turned.hash == STATEMENT.hash
    others = [
        Statement("policy", "a" * 64, STATEMENT.made_from, STATEMENT.facts),
        Statement("dataset", "d" * 64, STATEMENT.made_from, STATEMENT.facts),
        Statement("dataset", "a" * 64, {"contract": "b" * 64}, STATEMENT.facts),
        Statement("dataset", "a" * 64, STATEMENT.made_from, {"seed": 1, "frames": 12}),
    ]
    assert len({each.hash for each in [STATEMENT, *others]}) == 5


def test_an_altered_statement_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lineage.json"
    STATEMENT.save(path)
    path.write_text(path.read_text().replace("c" * 64, "d" * 64))
    with pytest.raises(LearnedArmError, match="statement was altered"):
        Statement.load(path)


@pytest.mark.parametrize(
    "change", [{"subject": "short"}, {"made_from": {"contract": "X" * 64}}, {"lineage": 2}, {"more": 1}]
)
def test_what_is_no_statement_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "lineage.json"
    path.write_text(json.dumps({**STATEMENT.to_json(), "hash": STATEMENT.hash, **change}))
    with pytest.raises(LearnedArmError):
        Statement.load(path)


def test_facts_must_be_plain_and_finite() -> None:
    with pytest.raises(LearnedArmError, match="facts are no plain data"):
        Statement("policy", "a" * 64, {}, {"loss": float("nan")})

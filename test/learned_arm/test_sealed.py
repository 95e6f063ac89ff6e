"""A sealed statement comes back as it was written, and shows when anything in it was altered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.errors import LearnedArmError
from learned_arm.sealed import read_sealed, write_sealed

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONTENT = {"first": 1, "second": [0.1, "two"]}


def same(content: dict[str, Any]) -> dict[str, Any]:
    return content


@given(content=st.dictionaries(st.text().filter(lambda key: key not in ("thing", "hash")), PLAIN))
def test_whatever_is_plain_comes_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("sealed") / "made" / "thing.json"
    write_sealed(path, "thing", content)
    assert read_sealed(path, "thing", same) == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"first": 2}, "was altered"),
        ({"third": 3}, "was altered"),
        ({"hash": "0" * 64}, "was altered"),
        ({"thing": 2}, "was altered"),
    ],
)
def test_every_change_shows(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "thing.json"
    write_sealed(path, "thing", CONTENT)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(LearnedArmError, match=said):
        read_sealed(path, "thing", same)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"other": 1, "hash": ""}', '{"thing": 1}'])
def test_another_kind_of_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thing.json"
    path.write_text(text)
    with pytest.raises(LearnedArmError, match="no statement of the kind thing"):
        read_sealed(path, "thing", same)


def test_what_does_not_build_is_an_error(tmp_path: Path) -> None:
    write_sealed(tmp_path / "thing.json", "thing", CONTENT)
    with pytest.raises(LearnedArmError, match="no statement"):
        read_sealed(tmp_path / "thing.json", "thing", lambda content: content["third"])

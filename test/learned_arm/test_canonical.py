"""Canonical JSON: equal content has equal bytes and an equal name, other content has another."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.canonical import canonical_json, hash_of, sha256_hex

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: object, rng: random.Random) -> object:
    """The same content, every mapping built in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    return [shuffled(each, rng) for each in value] if isinstance(value, list) else value


@given(PLAIN, st.randoms(use_true_random=False))
def test_the_order_of_keys_says_nothing(value: object, rng: random.Random) -> None:
    assert canonical_json(shuffled(value, rng)) == canonical_json(value)


@given(PLAIN)
def test_reading_it_back_gives_the_same_bytes_and_hash(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    assert hash_of(json.loads(text)) == hash_of(value) == sha256_hex(text)


@given(PLAIN, PLAIN)
def test_equal_bytes_mean_equal_content(one: object, other: object) -> None:
    assert (canonical_json(one) == canonical_json(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_an_error(bad: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": [bad]})


def test_the_bytes_are_these() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'.encode()
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

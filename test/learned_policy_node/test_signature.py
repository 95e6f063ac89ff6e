"""Signatures: what they say comes back equal, and what they must not say ends in one line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.signature import (
    ACTION,
    COLOURS,
    DTYPES,
    LAYOUTS,
    STATE,
    CriticSettings,
    ImageInput,
    JointTensor,
    NoiseInput,
    Recurrent,
    ResetRule,
    Signature,
    input_forms,
    output_forms,
)
from learned_policy_node.signature_json import parse_signature, signature_json

FRONT = "observation.images.front"
PLAIN = {"inputs": {FRONT: "camera:front", STATE: "state"}, "outputs": {ACTION: "labels"}, "recurrent": []}
MEMORY = {
    **PLAIN,
    "inputs": {**PLAIN["inputs"], "h": "recurrent"},
    "outputs": {**PLAIN["outputs"], "h_next": "recurrent"},
    "recurrent": [{"input": "h", "output": "h_next", "shape": [1, 4]}],
}
CRITIC = {
    "inputs": {**PLAIN["inputs"], "a": "candidate"},
    "outputs": {"q": "value"},
    "critic": {"low": [-1.0] * 7, "high": [1.0] * 7},
}


def with_input(**keys: Any) -> dict[str, Any]:
    return {**PLAIN, "inputs": {**PLAIN["inputs"], FRONT: {"role": "camera:front", **keys}}}


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    """Any signature that the small contract allows."""
    contract = load_contract("pick_cube")
    own = contract.robot.joints
    number = st.floats(-1e3, 1e3)

    def joint_tensor(name: str, joints: tuple[str, ...], axis: bool) -> JointTensor:
        count = len(joints)
        mean = tuple(draw(st.lists(number, min_size=count, max_size=count)))
        std = tuple(draw(st.lists(st.floats(1e-3, 1e3), min_size=count, max_size=count)))
        return JointTensor(name, joints, mean, std, axis)

    dtype = draw(st.sampled_from(DTYPES))
    image = ImageInput(
        "pixels", "front", draw(st.sampled_from(LAYOUTS)), dtype, draw(st.sampled_from(COLOURS)), draw(st.booleans())
    )
    if dtype == "float32":
        image = replace(image, scale=draw(st.floats(1e-3, 1.0)), mean=(0.5, 0.25, 0.0), std=(0.2, 0.3, 1.0))
    part = draw(st.permutations(own))[: draw(st.integers(1, len(own)))]
    state = draw(st.sampled_from([None, joint_tensor("qpos", tuple(part), draw(st.booleans()))]))
    noise = tuple(NoiseInput(f"noise{index}", (2, index + 1), index) for index in range(draw(st.integers(0, 2))))
    rule = ResetRule(draw(st.sampled_from([("engage",), ("request",), ("engage", "request")])), draw(st.integers(1, 9)))
    order = tuple(draw(st.permutations(own)))
    if draw(st.booleans()):
        critic = CriticSettings((-1.0,) * 7, (1.0,) * 7, draw(st.integers(4, 99)), 3, 2, 5, draw(st.booleans()))
        candidate = joint_tensor("a", order, True)
        return Signature((image,), state, noise, reset=rule, candidate=candidate, value="q", critic=critic)
    recurrent = (Recurrent("h", "h_next", (2, 1, 3), draw(st.sampled_from([(0.5,), (1.0, 2.0, 3.0) * 2]))),)
    rhythm = draw(st.sampled_from([None, 1, 8]))
    return Signature((image,), state, noise, recurrent, rule, joint_tensor("y", order, True), step_ticks=rhythm)


@settings(max_examples=100, deadline=None)
@given(signature=signatures())
def test_a_signature_comes_back_equal(signature: Signature) -> None:
    contract = load_contract("pick_cube")
    small = replace(contract, cameras={"front": contract.cameras["front"]})
    assert parse_signature(signature_json(signature), small, "file") == signature


def test_the_words_of_the_first_version_mean_what_the_names_say(contract: Contract) -> None:
    inputs = [f"observation.images.{name}" for name in contract.cameras] + [STATE]
    for word in ("observation", "x", "images"):
        old = {"inputs": dict.fromkeys(inputs, word), "outputs": {ACTION: "action"}, "recurrent": []}
        new = {
            "inputs": {**{f"observation.images.{name}": f"camera:{name}" for name in contract.cameras}, STATE: "state"},
            "outputs": {ACTION: "labels"},
        }
        assert parse_signature(old, contract, "file") == parse_signature(new, contract, "file")


def test_forms_follow_layout_and_axes(small: Contract) -> None:
    plain = parse_signature(PLAIN, small, "file")
    assert input_forms(plain, small) == {FRONT: ("uint8", (1, 1, 8, 12, 3)), STATE: ("float32", (1, 1, 7))}
    assert output_forms(plain, small) == {ACTION: (1, 2, 7)}
    planes = parse_signature(with_input(layout="NCHW", dtype="float32", history=False), small, "file")
    assert input_forms(planes, small)[FRONT] == ("float32", (1, 3, 8, 12))
    memory = parse_signature(MEMORY, small, "file")
    assert memory.outputs == (ACTION, "h_next")
    assert input_forms(memory, small)["h"] == ("float32", (1, 4))
    critic = parse_signature(CRITIC, small, "file")
    assert critic.critic == CriticSettings((-1.0,) * 7, (1.0,) * 7, 64, 6, 2)
    assert output_forms(critic, small) == {"q": (1,)}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([], "not a mapping"),
        ({**PLAIN, "more": 1}, "unknown key"),
        ({**PLAIN, "inputs": {FRONT: "camera:front", "x": "pose"}}, "inputs.x: unknown role; got pose"),
        ({**PLAIN, "inputs": {"a": "camera:front", "b": "camera:front"}}, "two inputs for one camera"),
        ({**PLAIN, "inputs": {"a": "camera:rear"}}, "do not match the contract; got rear"),
        ({**PLAIN, "inputs": {STATE: "state"}}, r"do not match the contract; got \[\]"),
        ({**PLAIN, "inputs": {**PLAIN["inputs"], "s": "state"}}, "role 'state' given twice"),
        ({**PLAIN, "outputs": {}}, "wrong roles for a policy without 'critic'"),
        ({**PLAIN, "outputs": {ACTION: "labels", "q": "value"}}, "wrong roles"),
        (with_input(layout="CHW"), "layout: unknown value; got CHW"),
        (with_input(dtype="float16"), "dtype: unknown value"),
        (with_input(mean=[0, 0, 0]), "unknown key"),
        (with_input(dtype="float32", mean=[0, 0]), "mean: wrong length; got 2; allowed: 3 numbers"),
        (with_input(dtype="float32", std=[1, 0, 1]), r"std\[1\]: not a number in range"),
        (with_input(dtype="float32", scale=float("nan")), "scale: not a number"),
        (with_input(history="yes"), "history: neither true nor false"),
        ({**PLAIN, "outputs": {ACTION: {"role": "labels", "horizon": False}}}, "no axis for the horizon"),
        ({**PLAIN, "outputs": {ACTION: {"role": "labels", "joints": ["elbow_joint"]}}}, "joints missing"),
        ({**PLAIN, "outputs": {ACTION: {"role": "labels", "joints": ["elbow"]}}}, "unknown value; got elbow"),
        ({**PLAIN, "outputs": {ACTION: {"role": "labels", "joints": ["elbow_joint"] * 7}}}, "duplicate joint"),
        ({**PLAIN, "recurrent": MEMORY["recurrent"]}, "recurrent inputs do not match"),
        ({**MEMORY, "recurrent": []}, "recurrent inputs do not match"),
        ({**MEMORY, "recurrent": MEMORY["recurrent"] * 2}, "recurrent inputs named twice"),
        ({**MEMORY, "recurrent": [{**MEMORY["recurrent"][0], "initial": [1, 2]}]}, "initial: wrong length; got 2"),
        ({**MEMORY, "recurrent": [{**MEMORY["recurrent"][0], "shape": [1, 0]}]}, "not an integer in range"),
        ({**MEMORY, "reset": {"on": []}}, "reset.on: not a list"),
        ({**MEMORY, "reset": {"on": ["reboot"]}}, "unknown value; got reboot"),
        ({**MEMORY, "reset": {"every_steps": 0}}, "every_steps: not an integer in range"),
        ({**MEMORY, "step_ticks": 0}, "step_ticks: not an integer in range"),
        ({**PLAIN, "step_ticks": 1}, "a rhythm without memory"),
        ({**PLAIN, "inputs": {**PLAIN["inputs"], "z": "noise"}}, "missing key 'shape'"),
        ({**CRITIC, "critic": None}, "not a mapping"),
        ({**CRITIC, "critic": {**CRITIC["critic"], "low": [1.0] * 7}}, "bounds reversed"),
        ({**CRITIC, "critic": {**CRITIC["critic"], "low": [0.0]}}, "low: wrong length"),
        ({**CRITIC, "critic": {**CRITIC["critic"], "samples": 8, "elites": 9}}, "elites: not an integer in range"),
        ({**CRITIC, "outputs": {ACTION: "labels"}}, "wrong roles for a critic"),
        ({**MEMORY, "critic": CRITIC["critic"]}, "wrong roles for a critic"),
    ],
)
def test_wrong_signatures_end_in_one_line(small: Contract, value: Any, text: str) -> None:
    with pytest.raises(LearnedArmError, match=text) as caught:
        parse_signature(value, small, "policy.onnx: signature")
    assert "policy.onnx: signature" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_axis_may_be_left_out_only_where_it_has_length_one(small: Contract) -> None:
    with pytest.raises(LearnedArmError, match="no axis for the history"):
        parse_signature(with_input(history=False), replace(small, history=2), "file")
    assert np.prod(input_forms(parse_signature(with_input(history=False), small, "file"), small)[FRONT][1]) == 288

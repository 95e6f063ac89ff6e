"""Policy files: what is run, and what is refused with one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper

from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.onnx_policy import OnnxPolicy, check_belongs, expected_inputs, self_test
from learned_policy_node.policy_file import METADATA
from learned_policy_node.selftest import SelfTest

MakeModel = Callable[..., Path]


def observation(contract: Contract, brightness: int = 100) -> Observation:
    images = {
        name: np.full((contract.history, *camera.size, 3), brightness, np.uint8)
        for name, camera in contract.cameras.items()
    }
    return Observation(0, images, np.full((contract.history, contract.robot.dof), 0.5, np.float32))


def test_a_policy_acts_and_passes_its_self_test(make_model: MakeModel, contract: Contract) -> None:
    path = make_model()
    policy = OnnxPolicy(path, threads=2)
    assert policy.hash == sha256_hex(path.read_bytes())
    assert policy.contract.hash == contract.hash
    assert self_test(policy) <= 1e-5
    action = policy.act(observation(contract))
    ramp = np.arange(1, contract.action.horizon + 1)[:, None]
    np.testing.assert_allclose(action, np.broadcast_to(ramp * 1e-3 + 1e-3 + 5e-3, action.shape), atol=1e-6)
    assert action.shape == (contract.action.horizon, contract.robot.dof)
    assert action.dtype == np.float32
    check_belongs(policy.contract, contract, "policy.onnx")


def test_a_policy_of_another_robot_is_refused_and_both_sides_are_named(contract: Contract) -> None:
    slower = replace(contract, robot=replace(contract.robot, name="ur10e_sim", control_rate_hz=125))
    with pytest.raises(LearnedArmError) as caught:
        check_belongs(contract, slower, "policy.onnx")
    text = str(caught.value)
    assert "first difference: robot.control_rate_hz" in text
    assert f"pick_cube on ur5e_sim ({contract.hash[:12]})" in text
    assert f"pick_cube on ur10e_sim ({slower.hash[:12]})" in text


def test_an_altered_self_test_fails(make_model: MakeModel) -> None:
    good = OnnxPolicy(make_model()).selftest
    outputs = {"action": good.outputs["action"].copy()}
    outputs["action"][1, 3, 2] += 1e-3
    policy = OnnxPolicy(make_model(selftest=replace(good, outputs=outputs)))
    with pytest.raises(LearnedArmError, match=r"self-test failed; got off by 0\.001; allowed: 0\.0001"):
        self_test(policy)


def test_a_self_test_of_another_shape_or_without_cases_fails(make_model: MakeModel) -> None:
    good = OnnxPolicy(make_model()).selftest
    short = replace(good, inputs={**good.inputs, "observation.state": good.inputs["observation.state"][..., :6]})
    with pytest.raises(LearnedArmError, match="do not fit the contract"):
        self_test(OnnxPolicy(make_model(selftest=short)))
    with pytest.raises(LearnedArmError, match="do not match"):
        SelfTest({}, {}, 1e-4)


def test_a_self_test_comes_back_from_json_bit_for_bit(make_model: MakeModel) -> None:
    test = OnnxPolicy(make_model()).selftest
    again = SelfTest.from_json(test.to_json(), "file")
    for name, array in {**test.inputs, **test.outputs}.items():
        np.testing.assert_array_equal({**again.inputs, **again.outputs}[name], array)
    assert again.tolerance == test.tolerance


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shape": [3, 1, 6]}, "array of another size"),
        ({"shape": [1_000_000, 1_000]}, "array too large"),
        ({"dtype": "object"}, "unknown value"),
        ({"data_b64": "not base64!"}, "cannot be unpacked"),
        ({"data_b64": "AAAA"}, "cannot be unpacked"),
        ({"extra": 1}, "unknown key"),
    ],
)
def test_a_hostile_self_test_is_refused(make_model: MakeModel, change: dict[str, Any], text: str) -> None:
    value = OnnxPolicy(make_model()).selftest.to_json()
    value["inputs"]["observation.state"].update(change)
    with pytest.raises(LearnedArmError, match=text):
        SelfTest.from_json(value, "file")


@pytest.mark.parametrize("tolerance", [0.0, -1.0, 1.0, float("nan"), "loose"])
def test_a_tolerance_that_lets_anything_pass_is_refused(make_model: MakeModel, tolerance: Any) -> None:
    value = {**OnnxPolicy(make_model()).selftest.to_json(), "tolerance": tolerance}
    with pytest.raises(LearnedArmError, match="tolerance"):
        SelfTest.from_json(value, "file")


def test_nan_from_the_model_is_an_error(make_model: MakeModel, contract: Contract) -> None:
    policy = OnnxPolicy(make_model(dark_is_nan=True))
    self_test(policy)
    with pytest.raises(LearnedArmError, match="not finite"):
        policy.act(observation(contract, brightness=0))


def test_a_wrong_shape_that_shows_only_when_run_is_an_error(make_model: MakeModel, contract: Contract) -> None:
    policy = OnnxPolicy(make_model(dark_is_short=True))
    self_test(policy)
    with pytest.raises(
        LearnedArmError, match=r"wrong output of the policy; got float32 \(1, 15, 7\); allowed: float32"
    ):
        policy.act(observation(contract, brightness=90))


def test_declared_shapes_types_and_names_are_held_against_the_contract(
    make_model: MakeModel, contract: Contract
) -> None:
    wide = replace(contract, cameras={name: replace(each, size=(64, 128)) for name, each in contract.cameras.items()})
    with pytest.raises(LearnedArmError, match=r"observation.images.front has another shape.*64.*allowed: .*96"):
        OnnxPolicy(make_model(of=wide, metadata={"contract": contract.canonical()}))
    one_eyed = replace(contract, cameras={"front": contract.cameras["front"]})
    with pytest.raises(LearnedArmError, match="inputs do not match the contract"):
        OnnxPolicy(make_model(metadata={"contract": one_eyed.canonical()}))
    signature = {"inputs": dict.fromkeys(expected_inputs(contract), "x"), "outputs": {"labels": "labels"}}
    with pytest.raises(
        LearnedArmError, match=r"outputs do not match the model; got \['labels'\]; allowed: \['action'\]"
    ):
        OnnxPolicy(make_model(metadata={"signature": signature}))
    signature = {**signature, "outputs": {"action": "action"}, "recurrent": ["hidden"]}
    with pytest.raises(LearnedArmError, match="recurrent"):
        OnnxPolicy(make_model(metadata={"signature": signature}))


@pytest.mark.parametrize("key", METADATA)
def test_metadata_that_is_missing_or_of_the_wrong_kind_is_named(make_model: MakeModel, key: str) -> None:
    with pytest.raises(LearnedArmError, match=f"no metadata 'learned_arm.{key}'"):
        OnnxPolicy(make_model(metadata={key: None}))
    for wrong in ([1, 2], "text", {"nonsense": 1} if key != "lineage" else 7):
        with pytest.raises(LearnedArmError, match=key):
            OnnxPolicy(make_model(metadata={key: wrong}))


def test_tensors_outside_the_file_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    (tmp_path / "outside.bin").write_bytes(b"\0" * 448)
    model = onnx.load(make_model())
    ramp = next(each for each in model.graph.initializer if each.name == "ramp")
    external_data_helper.set_external_data(ramp, "../outside.bin")
    ramp.ClearField("raw_data")
    ramp.data_location = TensorProto.EXTERNAL
    path = tmp_path / "external.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(LearnedArmError, match=r"tensors outside the file; got \['ramp'\]"):
        OnnxPolicy(path)


def test_no_file_no_model_and_an_unknown_operator_end_in_one_line(make_model: MakeModel, tmp_path: Path) -> None:
    model = onnx.load(make_model())
    model.graph.node.append(helper.make_node("Conjure", ["action"], ["more"], domain="somebody.else"))
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(model.SerializeToString())
    text = tmp_path / "text.onnx"
    text.write_text("no model\n" * 9)
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for path in (tmp_path / "absent.onnx", tmp_path, text, empty, foreign):
        with pytest.raises(LearnedArmError) as caught:
            OnnxPolicy(path)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_refused_or_caught_by_the_self_test(
    make_model: MakeModel, data: st.DataObject, tmp_path: Path
) -> None:
    """Only a LearnedArmError leaves the loader; a file that still loads and passes gives sound labels."""
    source = tmp_path / "source.onnx"
    if not source.exists():
        shutil.copy(make_model(), source)
    raw = bytearray(source.read_bytes())
    kind = data.draw(st.sampled_from(["cut", "flip", "noise"]))
    at = data.draw(st.integers(0, len(raw) - 1))
    if kind == "cut":
        del raw[at:]
    else:
        for offset in range(1 if kind == "flip" else 16):
            raw[min(at + offset, len(raw) - 1)] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(raw)
    try:
        policy = OnnxPolicy(path)
        self_test(policy)
    except LearnedArmError:
        return
    action = policy.act(observation(policy.contract))
    assert np.isfinite(action).all()

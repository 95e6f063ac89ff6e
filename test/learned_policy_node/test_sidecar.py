"""Foreign ONNX files: described beside the file, run in the robot's order and units, untested only when allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import load_policy
from learned_policy_node.selftest import SelfTest
from learned_policy_node.signature import ImageInput
from learned_policy_node.tensors import ImageMap

MEAN, STD = np.array([0.1, 0.2, 0.3], np.float32), np.array([0.5, 0.6, 0.7], np.float32)
STATE_MEAN, STATE_STD = np.linspace(-1, 1, 5, dtype=np.float32), np.linspace(0.5, 2, 5, dtype=np.float32)
OUT_MEAN, OUT_STD = np.linspace(0, 0.3, 7, dtype=np.float32), np.linspace(0.1, 0.9, 7, dtype=np.float32)
WEIGHT = np.random.default_rng(2).normal(size=(3 + 5, 2 * 7)).astype(np.float32)


@pytest.fixture
def orders(small: Contract) -> tuple[list[str], list[str]]:
    """The model's own joints: five of them as its state, all of them backwards as its labels."""
    joints = list(small.robot.joints)
    return [joints[index] for index in (4, 0, 6, 2, 1)], joints[::-1]


def description(small: Contract, orders: tuple[list[str], list[str]], **changes: Any) -> dict[str, Any]:
    def plain(array: np.ndarray) -> list[float]:
        return [float(value) for value in array]

    picture = {"layout": "NCHW", "dtype": "float32", "colour": "bgr", "history": False}
    state, labels = orders
    signature = {
        "inputs": {
            "image": {"role": "camera:front", **picture, "mean": plain(MEAN), "std": plain(STD)},
            "qpos": {
                "role": "state",
                "joints": state,
                "history": False,
                "mean": plain(STATE_MEAN),
                "std": plain(STATE_STD),
            },
        },
        "outputs": {"a_hat": {"role": "labels", "joints": labels, "mean": plain(OUT_MEAN), "std": plain(OUT_STD)}},
    }
    return {"contract": small.canonical(), "signature": signature, **changes}


@pytest.fixture
def make_foreign(save_policy: Callable[..., Path], small: Contract) -> Callable[..., Path]:
    """a_hat = [mean of each channel, qpos] @ WEIGHT; two outputs more that nobody asked for."""

    def make(described: dict[str, Any] | None) -> Path:
        nodes = [
            helper.make_node("ReduceMean", ["image", "pixels"], ["colours"], keepdims=0),
            helper.make_node("Concat", ["colours", "qpos"], ["seen"], axis=1),
            helper.make_node("MatMul", ["seen", "weight"], ["flat"]),
            helper.make_node("Reshape", ["flat", "chunk"], ["a_hat"]),
            helper.make_node("Neg", ["flat"], ["latent"]),
            helper.make_node("Sqrt", ["latent"], ["nonsense"]),
        ]
        inputs = {"image": (TensorProto.FLOAT, [1, 3, 8, 12]), "qpos": (TensorProto.FLOAT, [1, 5])}
        outputs = {"latent": [1, 14], "a_hat": [1, 2, 7], "nonsense": [1, 14]}
        constants = {"pixels": np.array([2, 3]), "weight": WEIGHT, "chunk": np.array([1, 2, 7])}
        path = save_policy(small, nodes, inputs, outputs, constants, {}, name="act.onnx", described=False)
        path.with_suffix(".yaml").unlink(missing_ok=True)
        if described is not None:
            path.with_suffix(".yaml").write_text(yaml.safe_dump(described))
        return path

    return make


def raw_case() -> SelfTest:
    """The graph by numpy, in its own units."""
    rng = np.random.default_rng(3)
    image = rng.normal(size=(4, 3, 8, 12)).astype(np.float32)
    qpos = rng.normal(size=(4, 5)).astype(np.float32)
    seen = np.concatenate([image.mean(axis=(2, 3)), qpos], axis=1)
    return SelfTest({"image": image, "qpos": qpos}, {"a_hat": (seen @ WEIGHT).reshape(4, 2, 7)})


def test_a_foreign_policy_acts_in_the_robots_order_and_units(
    make_foreign: Any, small: Contract, orders: Any, observe: Any
) -> None:
    policy = load_policy(make_foreign(description(small, orders, selftest=raw_case().to_json())))
    assert policy.foreign
    assert policy.tested
    joints = list(small.robot.joints)
    for seed in range(20):
        seen = observe(seed)
        bgr = seen.images["front"][0, :, :, ::-1].astype(np.float32) / 255
        colours = ((bgr - MEAN) / STD).mean(axis=(0, 1))
        by_name = dict(zip(joints, seen.state[0], strict=True))
        qpos = (np.array([by_name[name] for name in orders[0]]) - STATE_MEAN) / STATE_STD
        rows = (np.concatenate([colours, qpos]) @ WEIGHT).reshape(2, 7) * OUT_STD + OUT_MEAN
        expected = np.stack([rows[:, orders[1].index(name)] for name in joints], axis=1)
        np.testing.assert_allclose(policy.act(seen), expected, atol=1e-5)


def test_a_foreign_policy_without_a_self_test_runs_only_when_allowed(
    make_foreign: Any, small: Contract, orders: Any, observe: Any
) -> None:
    path = make_foreign(description(small, orders))
    with pytest.raises(LearnedArmError, match=r"foreign policy without a self-test; allowed: .*allow_untested"):
        load_policy(path)
    policy = load_policy(path, allow_untested=True)
    assert not policy.tested
    assert policy.act(observe(1)).shape == (2, 7)


def test_a_wrong_self_test_is_refused_even_where_none_would_do(make_foreign: Any, small: Contract, orders: Any) -> None:
    test = raw_case()
    test.outputs["a_hat"][2, 1, 3] += 1e-2
    with pytest.raises(LearnedArmError, match="self-test failed"):
        load_policy(make_foreign(description(small, orders, selftest=test.to_json())), allow_untested=True)


def test_contract_by_path_and_self_test_by_file(make_foreign: Any, small: Contract, orders: Any) -> None:
    path = make_foreign(description(small, orders, contract="cell.yaml", selftest="act.selftest.json"))
    (path.parent / "cell.yaml").write_text(yaml.safe_dump(small.canonical()))
    (path.parent / "act.selftest.json").write_text(json.dumps(raw_case().to_json()))
    policy = load_policy(path)
    assert policy.contract.hash == small.hash
    first = policy.hash
    path.with_suffix(".yaml").write_text(yaml.safe_dump(description(small, orders, selftest=raw_case().to_json())))
    assert load_policy(path).hash == first
    path.with_suffix(".yaml").write_text(yaml.safe_dump(description(small, orders)))
    assert load_policy(path, allow_untested=True).hash != first


def test_what_is_wrong_with_a_sidecar_is_one_line(make_foreign: Any, small: Contract, orders: Any) -> None:
    good = description(small, orders)
    cases: list[tuple[dict[str, Any] | None, str]] = [
        (None, r"no metadata 'learned_arm.contract'.*act.yaml beside"),
        ({}, "act.yaml: missing key 'contract'"),
        ({**good, "extra": 1}, r"unknown key; got \['extra'\]"),
        ({**good, "contract": "no_such_task"}, "no such entry in contracts"),
        ({**good, "contract": "missing.yaml"}, "missing.yaml: cannot be read"),
        ({**good, "contract": "pick_cube"}, "do not match the contract"),
        ({**good, "selftest": "../act.json"}, "not beside the model"),
        ({**good, "selftest": "absent.json"}, "absent.json: cannot be read"),
        ({**good, "signature": {**good["signature"], "outputs": {"y": "labels"}}}, "outputs do not match the model"),
        (
            {**good, "signature": {**good["signature"], "outputs": {"latent": "labels"}}},
            "latent has another shape or type",
        ),
        (
            {**good, "signature": {**good["signature"], "inputs": {"image": "camera:front", "qpos": "state"}}},
            r"image has another shape or type; got tensor\(float\)",
        ),
    ]
    for described, text in cases:
        path = make_foreign(described)
        with pytest.raises(LearnedArmError, match=text) as caught:
            load_policy(path, allow_untested=True)
        assert "\n" not in str(caught.value)


def test_a_policy_described_twice_is_refused(make_model: Callable[..., Path], small: Contract, orders: Any) -> None:
    path = make_model()
    path.with_suffix(".yaml").write_text(yaml.safe_dump(description(small, orders)))
    with pytest.raises(LearnedArmError, match=r"described twice; got learned_arm.contract inside and policy.yaml"):
        load_policy(path)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
@pytest.mark.parametrize("history", [True, False])
def test_layouts_only_move_pixels(small: Contract, layout: str, colour: str, history: bool) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 8, 12, 3), np.uint8)
    shape = (1, *([1] if history else []), *((3, 8, 12) if layout == "NCHW" else (8, 12, 3)))
    found = ImageMap(ImageInput("x", "front", layout, "uint8", colour, history), shape).encode(frames)[0]
    back = found if history else found[None]
    back = back.transpose(0, 2, 3, 1) if layout == "NCHW" else back
    np.testing.assert_array_equal(back[..., ::-1] if colour == "bgr" else back, frames)

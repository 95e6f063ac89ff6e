"""Observations: names decide the order of joints, bytes decide the image, and nothing is filled in."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from learned_arm import cdr
from learned_arm.alignment import AlignedTick, Sample
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
from learned_arm.observation import JointOrder, ObservationBuilder, digest
from learned_arm.pictures import decode as decode_image

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
CONTRACT = load_contract("pick_cube")
JOINTS = CONTRACT.robot.joints
POSITIONS = np.linspace(-1.0, 0.8, len(JOINTS))
SIZE = (96, 96)
SIDES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def header() -> Any:
    return TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](sec=0, nanosec=0), "lens")


def joint_state(names: list[str], positions: list[float]) -> bytes:
    kind = "sensor_msgs/msg/JointState"
    nothing = np.empty(0)
    return bytes(
        STORE.serialize_cdr(TYPES[kind](header(), names, np.array(positions, dtype=np.float64), nothing, nothing), kind)
    )


def image(pixels: np.ndarray, encoding: str, padding: int = 0, /, **lies: Any) -> bytes:
    """A raw image of pixels (height, width, channels), each row followed by padding; fields may lie."""
    kind = "sensor_msgs/msg/Image"
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 0xAB, dtype=np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    truth = {
        "height": height,
        "width": width,
        "encoding": encoding,
        "step": rows.shape[1],
        "data": rows.reshape(-1),
    }
    return bytes(STORE.serialize_cdr(TYPES[kind](header=header(), is_bigendian=0, **{**truth, **lies}), kind))


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def tick(names: list[str], positions: list[float], tick_ns: int = 0, picture: bytes | None = None) -> AlignedTick:
    picture = picture or image(noise(*SIZE), "rgb8")
    samples = {f"camera:{name}": Sample(tick_ns, 0, picture) for name in CONTRACT.cameras}
    samples["joints:/joint_states"] = Sample(tick_ns, 0, joint_state(names, positions))
    return AlignedTick(tick_ns, samples)


@given(st.permutations(range(len(JOINTS))), st.lists(st.sampled_from(["wheel", "door"]), unique=True))
def test_every_order_of_joints_gives_the_same_state(order: list[int], extra: list[str]) -> None:
    names = [JOINTS[index] for index in order] + extra
    positions = [POSITIONS[index] for index in order] + [math.nan] * len(extra)
    observation = ObservationBuilder(CONTRACT).build([tick(names, positions)])
    np.testing.assert_array_equal(observation.state, POSITIONS.astype(np.float32)[None])


@given(st.permutations(JOINTS), st.permutations(JOINTS))
def test_the_order_may_change_from_message_to_message(one: list[str], other: list[str]) -> None:
    place, order = dict(zip(JOINTS, POSITIONS, strict=True)), JointOrder(JOINTS)
    for names in (one, other, one):
        np.testing.assert_array_equal(
            order.positions(tuple(names), np.array([place[name] for name in names])), POSITIONS
        )


ALL = list(JOINTS)
BAD_JOINTS: dict[str, tuple[list[str], list[float], str]] = {
    "missing": (
        ALL[1:],
        [0.0] * 6,
        r"missing joint shoulder_pan_joint; got .*; allowed: \['shoulder_pan_joint'",
    ),
    "duplicate": ([*ALL, "elbow_joint"], [0.0] * 8, r"duplicate joint; got \['elbow_joint'\]"),
    "NaN": (
        ALL,
        [*[0.0] * 6, math.nan],
        r"joint position not finite; got \['robotiq_85_left_knuckle_joint'\]",
    ),
    "infinite": (ALL, [-math.inf, *[0.0] * 6], r"joint position not finite; got \['shoulder_pan_joint'\]"),
    "too few positions": (ALL, [0.0] * 6, "positions do not match joint names; got 6; allowed: 7"),
    "no positions": (ALL, [], "positions do not match joint names; got 0; allowed: 7"),
    "nothing": ([], [], "missing joint"),
}


def test_each_of_all_orders_of_the_joints_is_the_same_to_the_policy_and_to_the_door() -> None:
    builder, arm = ObservationBuilder(CONTRACT), MeasuredArm(CONTRACT.robot)
    topic = CONTRACT.robot.joint_states[0].topic
    orders = list(itertools.permutations(range(len(JOINTS))))
    assert len(orders) == 5040
    for order in orders:
        raw = joint_state([JOINTS[index] for index in order], [POSITIONS[index] for index in order])
        arm.take(topic, cdr.read_joint_state(raw), 0)
        np.testing.assert_array_equal(arm.position_rad, POSITIONS)
        tick = AlignedTick(0, {f"joints:{topic}": Sample(0, 0, raw)})
        np.testing.assert_array_equal(builder.measured(tick), POSITIONS)


@pytest.mark.parametrize("name", BAD_JOINTS)
def test_a_joint_state_that_is_not_whole_is_refused(name: str) -> None:
    names, positions, words = BAD_JOINTS[name]
    builder = ObservationBuilder(CONTRACT)
    builder.build([tick(ALL, list(POSITIONS))])
    with pytest.raises(LearnedArmError, match=words):
        builder.build([tick(names, positions)])
    np.testing.assert_array_equal(builder.measured(tick(ALL, list(POSITIONS))), POSITIONS)


def test_joint_states_from_two_topics_are_put_together_and_none_lends_to_the_other() -> None:
    content = copy.deepcopy(CONTRACT.canonical())
    content["robot"]["joint_states"].append({"topic": "/gripper/joint_states", "max_age_s": 0.05})
    builder = ObservationBuilder(Contract.from_canonical(content))

    def both(arm: list[float], gripper: list[float]) -> AlignedTick:
        samples = {
            "joints:/joint_states": Sample(0, 0, joint_state(ALL[:6], arm)),
            "joints:/gripper/joint_states": Sample(0, 0, joint_state(ALL[6:], gripper)),
        }
        return AlignedTick(0, samples)

    np.testing.assert_array_equal(builder.measured(both(list(POSITIONS[:6]), list(POSITIONS[6:]))), POSITIONS)
    with pytest.raises(LearnedArmError, match="joints:/joint_states: positions do not match joint names; got 5"):
        builder.measured(both([0.0] * 5, [0.0] * 2))


def test_history_is_oldest_first_and_whole() -> None:
    content = copy.deepcopy(CONTRACT.canonical())
    content["observation"]["history"] = 3
    builder = ObservationBuilder(Contract.from_canonical(content))
    ticks = [tick(ALL, [float(k)] * 7, k, image(np.full((*SIZE, 3), k, np.uint8), "rgb8")) for k in range(3)]
    observation = builder.build(ticks)
    assert observation.tick_ns == 2
    assert observation.state.shape == (3, 7) and observation.state.dtype == np.float32
    assert observation.state[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert observation.images["front"].shape == (3, *SIZE, 3)
    assert observation.images["front"][:, 0, 0, 0].tolist() == [0, 1, 2]
    with pytest.raises(LearnedArmError, match="wrong length of history; got 2; allowed: 3"):
        builder.build(ticks[:2])


ENCODINGS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


@given(
    pick=st.lists(st.integers(0, 5), min_size=2, max_size=9),
    history=st.integers(1, 4),
    encoding=st.sampled_from(list(ENCODINGS)),
)
def test_a_history_shows_what_each_image_shows_alone_whatever_images_it_shares_with_the_last(
    pick: list[int], history: int, encoding: str
) -> None:
    """Of a slow camera several ticks choose the same message; after a gap none of the last ones is there."""
    contract = replace(CONTRACT, history=history)
    builder = ObservationBuilder(contract)
    raws = [image(noise(12, 10, ENCODINGS[encoding], seed), encoding, 2) for seed in range(6)]
    shared = [tick(ALL, list(POSITIONS), k, raw) for k, raw in enumerate(raws)]
    kept = []
    for k in range(len(pick)):
        ticks = [shared[index] for index in (pick[: k + 1] * history)[-history:]]
        observation = builder.build(ticks)
        wanted = np.stack([decode_image(each.samples["camera:front"].raw, SIZE) for each in ticks])
        kept.append((observation.images["front"], wanted))
    for images, wanted in kept:
        np.testing.assert_array_equal(images, wanted, "no observation is written again")
        assert not images.flags.writeable


def test_of_a_history_only_the_new_image_is_decoded() -> None:
    builder = ObservationBuilder(replace(CONTRACT, history=3))
    raws = [bytearray(image(noise(12, 10, seed=seed), "rgb8")) for seed in range(4)]
    wanted = np.stack([decode_image(bytes(raw), SIZE) for raw in raws])
    ticks = [tick(ALL, list(POSITIONS), k, raw) for k, raw in enumerate(raws)]  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(builder.build(ticks[:3]).images["front"], wanted[:3])
    for raw in raws[:3]:
        raw[:] = bytes(len(raw))
    np.testing.assert_array_equal(builder.build(ticks[1:]).images["front"], wanted[1:])


@given(SIDES, st.sampled_from(list(ENCODINGS)), st.integers(0, 9))
def test_an_image_is_written_where_it_is_wanted(sides: tuple[int, int], encoding: str, padding: int) -> None:
    raw = image(noise(*sides, ENCODINGS[encoding]), encoding, padding)
    for size in (SIZE, sides):
        out = np.zeros((2, *size, 3), np.uint8)
        decode_image(raw, size, out=out[1])
        np.testing.assert_array_equal(out[1], decode_image(raw, size))
        assert not out[0].any()


def test_equal_digests_are_equal_observations() -> None:
    builder = ObservationBuilder(CONTRACT)
    one, again = (builder.build([tick(ALL, list(POSITIONS))]) for _ in range(2))
    turned = builder.build([tick(ALL, list(POSITIONS[::-1]))])
    other = noise(*SIZE)
    other[-1, -1, -1] ^= 1
    changed = builder.build([tick(ALL, list(POSITIONS), picture=image(other, "rgb8"))])
    assert digest(one) == digest(again)
    assert len({digest(one), digest(turned), digest(changed)}) == 3


@given(SIDES, SIDES, st.integers(0, 9), st.integers(0, 99))
def test_every_encoding_of_a_picture_gives_the_same_pixels(
    sides: tuple[int, int], size: tuple[int, int], padding: int, seed: int
) -> None:
    rgb = noise(*sides, seed=seed)
    opaque = np.full((*sides, 1), 255, np.uint8)
    bgr = rgb[..., ::-1]
    expected = decode_image(image(rgb, "rgb8"), size)
    assert expected.shape == (*size, 3) and expected.dtype == np.uint8
    for encoding, pixels in {
        "rgb8": rgb,
        "bgr8": bgr,
        "rgba8": np.concatenate([rgb, opaque], axis=2),
        "bgra8": np.concatenate([bgr, opaque], axis=2),
    }.items():
        np.testing.assert_array_equal(decode_image(image(pixels, encoding, padding), size), expected, encoding)


@given(SIDES, SIDES, st.integers(0, 9))
def test_grey_is_the_same_in_every_channel(sides: tuple[int, int], size: tuple[int, int], padding: int) -> None:
    grey = noise(*sides, channels=1)
    np.testing.assert_array_equal(
        decode_image(image(grey, "mono8", padding), size),
        decode_image(image(np.repeat(grey, 3, axis=2), "rgb8"), size),
    )


@given(SIDES, st.integers(0, 9))
def test_a_picture_of_the_wanted_size_is_left_alone(sides: tuple[int, int], padding: int) -> None:
    pixels = noise(*sides)
    np.testing.assert_array_equal(decode_image(image(pixels, "rgb8", padding), sides), pixels)


def test_a_large_picture_shrinks_by_area() -> None:
    pixels = noise(192, 288)
    expected = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(decode_image(image(pixels, "rgb8"), SIZE), expected)
    blocks = decode_image(image(pixels, "rgb8"), (96, 144))
    means = pixels.reshape(96, 2, 144, 2, 3).mean(axis=(1, 3))
    assert np.abs(blocks - means).max() <= 0.5


PIXELS = noise(4, 6)
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown encoding": (
        {"encoding": "yuv422"},
        r"lens: unknown image encoding; got yuv422; allowed: \['rgb8'",
    ),
    "no encoding": ({"encoding": ""}, "unknown image encoding"),
    "deep encoding": ({"encoding": "16UC1"}, "unknown image encoding; got 16UC1"),
    "step too short": (
        {"step": 17},
        "lens: image sizes do not fit its data; got 6x4, step 17, 72 bytes of rgb8",
    ),
    "step too long": ({"step": 19}, "image sizes do not fit its data"),
    "step of zero": ({"step": 0}, "image sizes do not fit its data"),
    "more rows": ({"height": 5}, "image sizes do not fit its data; got 6x5"),
    "fewer rows": ({"height": 3}, "image sizes do not fit its data"),
    "no rows": ({"height": 0, "data": np.empty(0, np.uint8)}, "image sizes do not fit its data; got 6x0"),
    "no columns": (
        {"width": 0, "step": 0, "data": np.empty(0, np.uint8)},
        "image sizes do not fit its data; got 0x4",
    ),
    "wider": ({"width": 7}, "image sizes do not fit its data"),
    "another encoding": ({"encoding": "rgba8"}, "image sizes do not fit its data"),
    "huge": ({"height": 2**31, "step": 2**31}, "image sizes do not fit its data"),
    "missing bytes": ({"data": PIXELS.reshape(-1)[:-1]}, "71 bytes"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_image_that_lies_is_refused(name: str) -> None:
    lies, words = LIES[name]
    with pytest.raises(LearnedArmError, match=words):
        decode_image(image(PIXELS, "rgb8", **lies), SIZE)

"""Ticks of an episode: on the grid, in the robot's joint order, with the targets in force, and never across a gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_recorder.bag_writer import bag_file_name
from demo_tools.dataset.sources import SOURCE_NAMES
from demo_tools.dataset.ticks import read_episode_ticks
from learned_arm.contract import Contract
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError

Record = Callable[..., Path]


def test_ticks_lie_on_the_grid_from_the_first_command_to_the_last(
    record: Record, contract: Contract, synthetic: Any
) -> None:
    ticks = read_episode_ticks(record(ticks=30), contract)
    assert ticks.ticks_ns[0] == synthetic.START_NS
    assert (np.diff(ticks.ticks_ns) == contract.period_ns).all() and (ticks.ticks_ns % contract.period_ns == 0).all()
    assert len(ticks) == 31


def test_rows_are_what_was_measured_and_commanded_in_joint_order(
    record: Record, contract: Contract, synthetic: Any
) -> None:
    recipe = synthetic.Recipe(seed=3, ticks=30)
    ticks = read_episode_ticks(record(seed=3, ticks=30), contract)
    for row, tick_ns in enumerate(ticks.ticks_ns.tolist()):
        np.testing.assert_array_equal(ticks.commanded[row], synthetic.command_at(recipe, contract, tick_ns))
        measured = synthetic.command_at(recipe, contract, tick_ns - recipe.lag_ns)
        np.testing.assert_array_equal(ticks.measured[row], measured)
        expected = synthetic.command_at(recipe, contract, tick_ns + contract.period_ns)
        np.testing.assert_allclose(ticks.targets[row], expected, atol=1e-12)
        np.testing.assert_array_equal(ticks.images["wrist"][row], synthetic.picture(measured, (48, 48), 1))


def test_without_images_the_same_ticks_come_out(record: Record, contract: Contract) -> None:
    folder = record(seed=1)
    seen, blind = read_episode_ticks(folder, contract), read_episode_ticks(folder, contract, images=False)
    assert blind.images == {} and set(seen.images) == {"front", "wrist"}
    for name in ("ticks_ns", "measured", "commanded", "targets"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(blind, name))
    assert seen.trimmed == blind.trimmed and seen.messages_hash == blind.messages_hash
    assert {name: stamps.tolist() for name, stamps in seen.stamps_ns.items()} == {
        name: stamps.tolist() for name, stamps in blind.stamps_ns.items()
    }


def test_labels_past_a_resting_end_hold_and_past_a_moving_end_are_cut(record: Record, contract: Contract) -> None:
    resting = read_episode_ticks(record(seed=1, ticks=20), contract)
    np.testing.assert_array_equal(resting.targets[-1], resting.commanded[-1])
    moving = read_episode_ticks(record(seed=2, ticks=20, moving_end=True), contract)
    assert len(moving) == 20 and moving.trimmed == {"past the last command": 1}


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_the_offset_shifts_labels_by_whole_ticks(record: Record, contract: Contract, offset: int) -> None:
    shifted = replace(contract, action=replace(contract.action, offset_ticks=offset))
    ticks = read_episode_ticks(record(ticks=20), shifted)
    np.testing.assert_array_equal(ticks.targets[: len(ticks) - offset], ticks.commanded[offset:])


def test_labels_can_come_from_requests_or_from_the_next_measurement(record: Record, contract: Contract) -> None:
    folder = record(ticks=20)
    sent = read_episode_ticks(folder, contract)
    requested = read_episode_ticks(folder, replace(contract, action=replace(contract.action, source="requested")))
    np.testing.assert_array_equal(sent.targets, requested.targets)
    measured = read_episode_ticks(folder, replace(contract, action=replace(contract.action, source="measured_next")))
    np.testing.assert_array_equal(measured.targets[:-1], measured.measured[1:])
    np.testing.assert_array_equal(measured.commanded, measured.measured)


def test_a_gap_inside_refuses_the_episode(record: Record, contract: Contract) -> None:
    with pytest.raises(LearnedArmError, match=r"gap inside the episode.*camera:front: stale"):
        read_episode_ticks(record(ticks=30, camera_gaps=range(10, 16)), contract)


def test_one_missing_frame_is_not_a_gap_while_the_one_before_is_fresh(record: Record, contract: Contract) -> None:
    ticks = read_episode_ticks(record(ticks=30, camera_gaps=[10]), contract)
    chosen = ticks.stamps_ns["camera:front"]
    assert len(ticks) == 31 and chosen[10] == chosen[9] == ticks.ticks_ns[9]


def test_every_label_knows_who_commanded_it(record: Record, contract: Contract) -> None:
    sources = ((0, "policy"), (8, "teleop"), (20, ""), (25, "camera"))
    folder = record(ticks=30, sources=sources)
    ticks = read_episode_ticks(folder, contract)
    # The label of a tick is commanded at the next one; what no source is called is unnamed.
    expected = [*["policy"] * 7, *["teleop"] * 12, *["unnamed"] * 12]
    assert [SOURCE_NAMES[index] for index in ticks.sources] == expected
    for source in ("requested", "measured_next"):
        other = read_episode_ticks(folder, replace(contract, action=replace(contract.action, source=source)))
        same = np.isin(other.ticks_ns, ticks.ticks_ns[:-1])
        np.testing.assert_array_equal(other.sources[same], ticks.sources[:-1])
    part = ticks.part(slice(7, 19))
    assert len(part) == 12 and set(part.sources) == {1} and len(part.images["front"]) == 12
    np.testing.assert_array_equal(part.targets, ticks.targets[7:19])


def test_while_the_door_said_that_nobody_commands_its_silence_is_no_gap(record: Record, contract: Contract) -> None:
    folder = record(ticks=40, rests=range(10, 30))
    ticks = read_episode_ticks(folder, contract)
    assert len(ticks) == 41
    assert [SOURCE_NAMES[index] for index in ticks.sources[8:31]] == ["teleop", *["unnamed"] * 20, *["teleop"] * 2]
    held = ticks.targets[9:29]
    assert (held == held[0]).all()
    # Where a message may be missing, a silence is a gap.
    content = read_json(folder / "episode.json")
    content["streams"]["/arm/sent"]["lost"] = 1
    write_json(folder / "episode.json", content)
    with pytest.raises(LearnedArmError, match=r"gap inside the episode.*no command in force"):
        read_episode_ticks(folder, contract)


def test_a_silent_command_stream_refuses_the_episode(record: Record, contract: Contract) -> None:
    with pytest.raises(LearnedArmError, match=r"gap inside the episode.*no command in force"):
        read_episode_ticks(record(ticks=30, command_gap_s=0.5), contract)


def test_a_little_is_cut_at_the_ends_and_counted(record: Record, contract: Contract) -> None:
    ticks = read_episode_ticks(record(ticks=30, idle_s=0.0, camera_gaps=[0, 1]), contract)
    assert len(ticks) == 29 and sum(ticks.trimmed.values()) == 2
    assert all(reason.startswith("camera:front") for reason in ticks.trimmed)


@pytest.mark.parametrize(("gaps", "end"), [(range(12), "begins"), (range(18, 40), "ends")])
def test_a_camera_that_is_missing_for_long_at_an_end_refuses(
    record: Record, contract: Contract, gaps: range, end: str
) -> None:
    with pytest.raises(LearnedArmError, match=rf"commanded while a stream was missing: the episode {end} with a gap"):
        read_episode_ticks(record(ticks=30, idle_s=0.0, camera_gaps=gaps), contract)


def test_a_stream_that_was_not_recorded_is_named(record: Record, contract: Contract) -> None:
    cameras = {**contract.cameras, "third": replace(contract.cameras["front"], topic="/third/image_raw")}
    with pytest.raises(LearnedArmError, match=r"stream not recorded.*/third/image_raw"):
        read_episode_ticks(record(), replace(contract, cameras=cameras))


def test_a_bag_that_was_altered_is_refused(record: Record, contract: Contract) -> None:
    folder = record()
    path = folder / bag_file_name(folder.name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(LearnedArmError):
        read_episode_ticks(folder, contract)

"""The layout of LeRobotDataset v3.0, column by column, as its reader expects it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo_tools.dataset.frames import load_frames
from demo_tools.dataset.lerobot_v3 import EpisodeColumns, LeRobotWriter
from demo_tools.dataset.manifest import Manifest
from demo_tools.dataset.statistics import column_statistics, image_histogram, image_statistics
from demo_tools.dataset.ticks import read_episode_ticks
from demo_tools.dataset.video import encode
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

CAMERAS = ("front", "wrist")
COUNTERS = ("frame_index", "episode_index", "index", "task_index")
STATISTICS = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}


@pytest.fixture(scope="module")
def info(dataset: Path) -> dict[str, Any]:
    return json.loads((dataset / "meta/info.json").read_text())


@pytest.fixture(scope="module")
def data(dataset: Path) -> pa.Table:
    return pq.read_table(dataset / "data/chunk-000/file-000.parquet")


@pytest.fixture(scope="module")
def episodes(dataset: Path) -> list[dict[str, Any]]:
    return pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()


def test_info_names_everything_that_is_there(info: dict[str, Any], data: pa.Table, contract: Contract) -> None:
    assert info["codebase_version"] == "v3.0" and info["robot_type"] == "ur5e_sim" and info["fps"] == 20
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (5, data.num_rows, 1)
    assert info["splits"] == {"train": "0:5"} and info["chunks_size"] == 1000
    features = info["features"]
    assert not any("/" in key for key in features)
    assert set(features) == {*data.column_names, *(f"observation.images.{name}" for name in CAMERAS)}
    for key in ("observation.state", "action"):
        assert features[key] == {"dtype": "float32", "shape": [7], "names": list(contract.robot.joints)}
    for name in CAMERAS:
        feature = features[f"observation.images.{name}"]
        assert feature["dtype"] == "video" and feature["shape"] == [48, 48, 3]
        assert feature["names"] == ["height", "width", "channels"]
        assert feature["info"]["video.codec"] == "h264" and feature["info"]["video.pix_fmt"] == "yuv420p"
        assert feature["info"]["video.fps"] == 20 and feature["info"]["has_audio"] is False
    for key in COUNTERS:
        assert features[key] == {"dtype": "int64", "shape": [1], "names": None}
    assert features["timestamp"]["dtype"] == "float32"


def test_rows_have_the_types_that_the_reader_asks_for(data: pa.Table) -> None:
    vector = pa.list_(pa.float32(), 7)
    for key in ("observation.state", "action", "commanded"):
        assert data.schema.field(key).type == vector
    for key in (*COUNTERS, "stamp_ns", "source"):
        assert data.schema.field(key).type == pa.int64()
    assert data.schema.field("timestamp").type == pa.float32()
    assert not any("images" in name for name in data.column_names)


def test_index_is_global_and_time_restarts_with_every_episode(data: pa.Table, episodes: list[dict[str, Any]]) -> None:
    np.testing.assert_array_equal(data["index"], np.arange(data.num_rows))
    for number, row in enumerate(episodes):
        part = data.slice(row["dataset_from_index"], row["length"])
        np.testing.assert_array_equal(part["episode_index"], np.full(row["length"], number))
        np.testing.assert_array_equal(part["frame_index"], np.arange(row["length"]))
        np.testing.assert_array_equal(part["timestamp"], (np.arange(row["length"]) / 20).astype(np.float32))
        np.testing.assert_array_equal(part["task_index"], np.zeros(row["length"]))


def test_episodes_lie_end_to_end(episodes: list[dict[str, Any]], data: pa.Table) -> None:
    assert [row["episode_index"] for row in episodes] == list(range(5))
    assert [row["length"] for row in episodes] == [25, 26, 27, 28, 29]
    assert episodes[0]["dataset_from_index"] == 0 and episodes[-1]["dataset_to_index"] == data.num_rows
    for before, after in itertools.pairwise(episodes):
        assert after["dataset_from_index"] == before["dataset_to_index"]
    for row in episodes:
        assert row["tasks"] == ["pick_cube"]
        assert row["data/chunk_index"] == row["data/file_index"] == row["meta/episodes/chunk_index"] == 0
        for key in ("observation.state", "action", "observation.images.front", "timestamp"):
            assert {name.rsplit("/", 1)[1] for name in row if name.startswith(f"stats/{key}/")} == STATISTICS


def test_every_query_time_of_a_video_hits_a_frame(
    dataset: Path, episodes: list[dict[str, Any]], info: dict[str, Any]
) -> None:
    for name in CAMERAS:
        key = f"observation.images.{name}"
        place = {part: episodes[0][f"videos/{key}/{part}"] for part in ("chunk_index", "file_index")}
        path = dataset / info["video_path"].format(video_key=key, **place)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == 20 and stream.codec_context.pix_fmt == "yuv420p"
            times = [frame.time for frame in container.decode(stream)]
        queries = [row[f"videos/{key}/from_timestamp"] + i / 20 for row in episodes for i in range(row["length"])]
        assert len(times) == len(queries) == info["total_frames"]
        np.testing.assert_allclose(times, queries, atol=1e-4)
        assert episodes[-1][f"videos/{key}/to_timestamp"] == pytest.approx(len(times) / 20)


def test_every_second_frame_is_a_key_frame(dataset: Path) -> None:
    path = dataset / "videos/observation.images.front/chunk-000/file-000.mp4"
    with av.open(str(path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    first_episode = keys[:25]
    assert first_episode == [index % 2 == 0 for index in range(25)] and keys[25], "an episode begins with a key frame"


def test_tasks_are_a_pandas_frame_with_the_task_as_its_index(dataset: Path) -> None:
    table = pq.read_table(dataset / "meta/tasks.parquet")
    described = json.loads(table.schema.metadata[b"pandas"])
    (index,) = described["index_columns"]
    assert table[index].to_pylist() == ["pick_cube"] and table["task_index"].to_pylist() == [0]
    assert {column["field_name"] for column in described["columns"]} == set(table.column_names)


def test_statistics_are_those_of_the_columns(dataset: Path, data: pa.Table) -> None:
    stats = json.loads((dataset / "meta/stats.json").read_text())
    frames = load_frames(dataset)
    assert all(set(each) == STATISTICS for each in stats.values())
    for key, values in {"observation.state": frames.state, "action": frames.action}.items():
        np.testing.assert_allclose(stats[key]["mean"], values.astype(np.float64).mean(axis=0))
        np.testing.assert_allclose(stats[key]["q90"], np.quantile(values.astype(np.float64), 0.9, axis=0))
        assert stats[key]["count"] == [data.num_rows]
    image = stats["observation.images.front"]
    assert np.shape(image["mean"]) == (3, 1, 1) and 0 <= np.min(image["min"]) < np.max(image["max"]) <= 1


def test_statistics_of_a_histogram_are_those_of_the_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 3), dtype=np.uint8)
    exact = frames.reshape(-1, 3) / 255.0
    found = image_statistics(image_histogram(frames), 3)
    for name, values in {"mean": exact.mean(0), "std": exact.std(0), "min": exact.min(0), "max": exact.max(0)}.items():
        np.testing.assert_allclose(np.ravel(found[name]), values)
    expected = np.quantile(exact, 0.5, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(np.ravel(found["q50"]), expected)
    assert column_statistics(np.arange(4))["mean"] == [1.5]


def test_full_files_are_followed_by_new_ones(record: Callable[..., Path], contract: Contract, tmp_path: Path) -> None:
    root = tmp_path / "rolled"
    root.mkdir()
    writer = LeRobotWriter(root, contract, video_file_mb=0.001, data_file_mb=0.001)
    for seed in range(3):
        ticks = read_episode_ticks(record(seed=seed, ticks=10), contract)
        videos = {name: encode(each, 20) for name, each in ticks.images.items()}
        histograms = {name: image_histogram(each) for name, each in ticks.images.items()}
        joints = ticks.measured.astype(np.float32)
        columns = EpisodeColumns(joints, joints, joints, ticks.ticks_ns, ticks.sources, videos, histograms)
        writer.add(columns)
    writer.finish()
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["data/file_index"] for row in rows] == [0, 1, 2]
    assert [row["videos/observation.images.front/from_timestamp"] for row in rows] == [0.0, 0.0, 0.0]
    assert len(list(root.glob("videos/observation.images.wrist/chunk-000/*.mp4"))) == 3


def test_what_is_loaded_is_what_was_recorded_up_to_the_codec(dataset: Path, contract: Contract) -> None:
    frames, manifest = load_frames(dataset), Manifest.load(dataset)
    demos = dataset.parent / "demos" / "pick_cube"
    for index, episode in enumerate(manifest.episodes):
        ticks = read_episode_ticks(demos / episode.name, contract)
        rows = slice(frames.starts[index], frames.starts[index + 1])
        np.testing.assert_array_equal(frames.state[rows], ticks.measured.astype(np.float32))
        np.testing.assert_array_equal(frames.action[rows], ticks.targets.astype(np.float32))
        np.testing.assert_array_equal(frames.stamp_ns[rows], ticks.ticks_ns)
        for name, pixels in ticks.images.items():
            error = np.abs(frames.images[name][rows].astype(int) - pixels)
            assert error.max() <= manifest.codec_error[name]["max_abs"]
            assert error.mean() < 4.0


def test_a_missing_or_shortened_video_is_an_error(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    videos = copy / "videos/observation.images.front/chunk-000/file-000.mp4"
    shutil.copy(copy / "videos/observation.images.wrist/chunk-000/file-000.mp4", videos.with_name("file-001.mp4"))
    with pytest.raises(LearnedArmError, match="more than 135 frames"):
        load_frames(copy)
    videos.with_name("file-001.mp4").unlink()
    videos.write_bytes(b"no video")
    with pytest.raises(LearnedArmError, match="video cannot be read"):
        load_frames(copy)
    videos.unlink()
    with pytest.raises(LearnedArmError, match=r"front.*got 0.*135 frames"):
        load_frames(copy)


def test_an_odd_image_cannot_be_encoded() -> None:
    with pytest.raises(LearnedArmError, match="even sides"):
        encode(np.zeros((2, 47, 48, 3), dtype=np.uint8), 20)

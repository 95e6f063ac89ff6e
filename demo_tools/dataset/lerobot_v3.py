"""Writes LeRobotDataset v3.0 with numpy, pyarrow and PyAV alone.

Layout and column types: LeRobot's documentation of the format, version v3.0, and its reader. Beside the usual features
a frame carries `commanded` (the target in force at the tick, which delta labels are relative to), `stamp_ns` (the tick
in ROS time) and `source` (who commanded the label); their names keep them out of what LeRobot's policies take as input.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from demo_tools.dataset import video
from demo_tools.dataset.statistics import column_statistics, image_statistics
from learned_arm.contract import Contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError

CODEBASE_VERSION = "v3.0"
STATE, ACTION, COMMANDED, STAMP, SOURCE = "observation.state", "action", "commanded", "stamp_ns", "source"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-000/file-000.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB = 100
VIDEO_FILE_MB = 200
_COUNTERS = ("frame_index", "episode_index", "index", "task_index")


def image_key(camera: str) -> str:
    """Feature of a camera."""
    return f"observation.images.{camera}"


@dataclass(frozen=True)
class EpisodeColumns:
    """One episode as it goes into the dataset: N frames.

    Attributes:
        state: Measured joints and what the contract adds, float32, shape (N, numbers).
        action: Absolute target in force at tick + offset, float32, shape (N, dof).
        commanded: Target in force at the tick, float32, shape (N, dof).
        stamp_ns: Ticks in ROS time, int64, shape (N,).
        source: Who commanded the action, index into the manifest's `sources`, int64, shape (N,).
        videos: Per camera an MP4 of N frames.
        histograms: Per camera the levels of the encoded frames, shape (3, 256).
    """

    state: NDArray[np.float32]
    action: NDArray[np.float32]
    commanded: NDArray[np.float32]
    stamp_ns: NDArray[np.int64]
    source: NDArray[np.int64]
    videos: dict[str, bytes]
    histograms: dict[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.stamp_ns)


class LeRobotWriter:
    """Writes a dataset episode by episode into an existing, empty folder.

    Args:
        folder: Root of the dataset.
        contract: Names robot, task, rate, joints and cameras.
        video_file_mb: Size at which the next video file is begun, between episodes.
        data_file_mb: The same for data files.
    """

    def __init__(
        self, folder: Path, contract: Contract, video_file_mb: float = VIDEO_FILE_MB, data_file_mb: float = DATA_FILE_MB
    ) -> None:
        self._folder, self._contract = folder, contract
        self._video_file_mb, self._data_file_mb = video_file_mb, data_file_mb
        self._rows: list[dict[str, Any]] = []
        self._columns: dict[str, list[NDArray[Any]]] = {}
        self._histograms = {camera: np.zeros((3, 256), dtype=np.int64) for camera in contract.cameras}
        self._videos = {
            camera: _VideoFiles(folder, camera, contract.rate_hz, video_file_mb) for camera in contract.cameras
        }
        self._data = _DataFiles(folder, data_file_mb)
        self.frames = 0

    def add(self, episode: EpisodeColumns) -> None:
        """Append an episode."""
        count, index, rate_hz = len(episode), len(self._rows), self._contract.rate_hz
        frame_index = np.arange(count, dtype=np.int64)
        columns: dict[str, NDArray[Any]] = {
            STATE: episode.state,
            ACTION: episode.action,
            COMMANDED: episode.commanded,
            STAMP: episode.stamp_ns,
            SOURCE: episode.source,
            "timestamp": (frame_index / rate_hz).astype(np.float32),
            "frame_index": frame_index,
            "episode_index": np.full(count, index, dtype=np.int64),
            "index": self.frames + frame_index,
            "task_index": np.zeros(count, dtype=np.int64),
        }
        row: dict[str, Any] = {
            "episode_index": index,
            "length": count,
            "tasks": [self._contract.task],
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + count,
            **self._data.add(columns),
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for camera, files in self._videos.items():
            row |= files.add(episode.videos[camera], count)
            self._histograms[camera] += episode.histograms[camera]
        for key, statistics in self._statistics(columns, episode.histograms, count).items():
            row |= {f"stats/{key}/{name}": value for name, value in statistics.items()}
        for key, values in columns.items():
            self._columns.setdefault(key, []).append(values)
        self._rows.append(row)
        self.frames += count

    def finish(self) -> None:
        """Close all files and write everything under `meta/`."""
        self._data.close()
        for files in self._videos.values():
            files.close()
        whole = {key: np.concatenate(parts) for key, parts in self._columns.items()}
        (self._folder / EPISODES_PATH).parent.mkdir(parents=True)
        pq.write_table(_episodes_table(self._rows), self._folder / EPISODES_PATH, compression="snappy")
        pq.write_table(_tasks_table([self._contract.task]), self._folder / "meta/tasks.parquet", compression="snappy")
        write_json(self._folder / "meta/stats.json", self._statistics(whole, self._histograms, self.frames))
        write_json(self._folder / "meta/info.json", self._info())

    def _statistics(
        self, columns: dict[str, NDArray[Any]], histograms: dict[str, NDArray[np.int64]], frames: int
    ) -> dict[str, dict[str, Any]]:
        found = {key: column_statistics(values) for key, values in columns.items()}
        for camera, histogram in histograms.items():
            found[image_key(camera)] = image_statistics(histogram, frames)
        return found

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": self._contract.robot.name,
            "total_episodes": len(self._rows),
            "total_frames": self.frames,
            "total_tasks": 1,
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self._contract.rate_hz,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._contract.cameras else None,
            "features": _features(self._contract),
        }


class _DataFiles:
    """`data/*.parquet`, one file after the other."""

    def __init__(self, folder: Path, file_mb: float) -> None:
        self._folder, self._file_bytes = folder, file_mb * 1e6
        self._index, self._bytes = -1, 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, columns: dict[str, NDArray[Any]]) -> dict[str, int]:
        table = pa.table({key: _arrow(values) for key, values in columns.items()})
        if self._writer is None or self._bytes + table.nbytes > self._file_bytes:
            self.close()
            self._index, self._bytes = self._index + 1, 0
            path = self._folder / DATA_PATH.format(**_place(self._index))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema, compression="snappy")
        self._writer.write_table(table)
        self._bytes += table.nbytes
        return {f"data/{key}": value for key, value in _place(self._index).items()}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _VideoFiles:
    """`videos/<camera>/*.mp4`, one file after the other; an episode lies in one of them."""

    def __init__(self, folder: Path, camera: str, rate_hz: int, file_mb: float) -> None:
        self._folder, self._key, self._rate_hz, self._file_bytes = folder, image_key(camera), rate_hz, file_mb * 1e6
        self._index = -1
        self._joiner: video.VideoJoiner | None = None
        self._file: BinaryIO | None = None

    def add(self, encoded: bytes, frames: int) -> dict[str, float | int]:
        if self._joiner is None or self._joiner.bytes + len(encoded) > self._file_bytes:
            self.close()
            self._index += 1
            path = self._folder / VIDEO_PATH.format(video_key=self._key, **_place(self._index))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
            self._joiner = video.VideoJoiner(self._file, self._rate_hz)
        start = self._joiner.frames
        added = self._joiner.add(encoded)
        if added != frames:
            raise LearnedArmError("video and columns differ", where=self._key, got=added, allowed=f"{frames} frames")
        place: dict[str, float | int] = {
            **_place(self._index),
            "from_timestamp": start / self._rate_hz,
            "to_timestamp": self._joiner.frames / self._rate_hz,
        }
        return {f"videos/{self._key}/{name}": value for name, value in place.items()}

    def close(self) -> None:
        if self._joiner is not None and self._file is not None:
            self._joiner.close()
            self._file.close()
            self._joiner = self._file = None


def _place(index: int) -> dict[str, int]:
    return {"chunk_index": index // FILES_PER_CHUNK, "file_index": index % FILES_PER_CHUNK}


def _arrow(values: NDArray[Any]) -> pa.Array:
    """A scalar column, or a column of lists of fixed size."""
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _episodes_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table({key: [row[key] for row in rows] for key in rows[0]})


def _tasks_table(tasks: list[str]) -> pa.Table:
    """A pandas frame whose index is the task, written without pandas: the schema's metadata says so."""
    index = "__index_level_0__"
    text = {"pandas_type": "unicode", "numpy_type": "object"}
    number = {"pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": [index],
        "column_indexes": [
            {"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}},
        ],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number, "metadata": None},
            {"name": None, "field_name": index, **text, "metadata": None},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.3",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})


def _features(contract: Contract) -> dict[str, Any]:
    joints, rate_hz = list(contract.robot.joints), contract.rate_hz
    features: dict[str, Any] = {
        key: {"dtype": "float32", "shape": [len(names)], "names": names}
        for key, names in ((STATE, list(contract.state_names)), (ACTION, joints), (COMMANDED, joints))
    }
    for camera, spec in contract.cameras.items():
        height, width = spec.size
        features[image_key(camera)] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": video.CODEC_NAME,
                "video.pix_fmt": video.PIXEL_FORMAT,
                "video.is_depth_map": False,
                "video.fps": rate_hz,
                "video.channels": 3,
                "has_audio": False,
            },
        }
    for key in (STAMP, SOURCE):
        features[key] = {"dtype": "int64", "shape": [1], "names": None}
    features["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    for key in _COUNTERS:
        features[key] = {"dtype": "int64", "shape": [1], "names": None}
    return features

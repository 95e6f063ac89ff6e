"""A dataset in memory, as a trainer needs it: decoded frames and columns, with every count checked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from demo_tools.dataset import video
from demo_tools.dataset.lerobot_v3 import ACTION, COMMANDED, SOURCE, STAMP, STATE, image_key
from demo_tools.dataset.manifest import Manifest
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError


@dataclass(frozen=True)
class Frames:
    """All frames of a dataset, episode after episode: N frames, E episodes.

    Attributes:
        contract: What they were made for.
        manifest: What they were made from.
        images: Per camera uint8, RGB, shape (N, height, width, 3), decoded from the videos.
        state: Measured joints, rad, and what the contract adds, float32, shape (N, numbers).
        action: Absolute targets, rad, float32, shape (N, dof).
        commanded: Targets in force at the tick, rad, float32, shape (N, dof).
        stamp_ns: Ticks in ROS time, shape (N,).
        source: Who commanded the action, index into the manifest's `sources`, shape (N,).
        starts: First frame of each episode and N at the end, shape (E + 1,).
    """

    contract: Contract
    manifest: Manifest
    images: dict[str, NDArray[np.uint8]]
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    commanded: NDArray[np.float32]
    stamp_ns: NDArray[np.int64]
    source: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.stamp_ns)


def load_frames(dataset: Path, images: bool = True) -> Frames:
    """Load a dataset.

    Args:
        dataset: Its folder.
        images: Whether to decode the videos; without them `images` is empty.

    Raises:
        LearnedArmError: It is no dataset, a file cannot be read, or a count or an index is not what the manifest says.
    """
    manifest = Manifest.load(dataset)
    contract = manifest.loaded_contract
    table = _read_tables(sorted(dataset.glob("data/*/*.parquet")), dataset)
    lengths = np.array([episode.frames for episode in manifest.episodes], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = int(starts[-1])
    try:
        index = table["index"].to_numpy()
        episode_index = table["episode_index"].to_numpy()
        state, action, commanded = (_matrix(table[key]) for key in (STATE, ACTION, COMMANDED))
        stamp_ns, source = (table[key].to_numpy().astype(np.int64) for key in (STAMP, SOURCE))
    except (KeyError, pa.ArrowException, AttributeError) as error:
        raise LearnedArmError("column missing or of another type", where=dataset, got=str(error)) from error
    expected = np.repeat(np.arange(len(lengths)), lengths)
    if not np.array_equal(index, np.arange(total)) or not np.array_equal(episode_index, expected):
        got = f"{len(index)} rows"
        raise LearnedArmError("rows are not those of the manifest", where=dataset, got=got, allowed=f"{total} rows")
    widths = {STATE: len(contract.state_names), ACTION: contract.robot.dof, COMMANDED: contract.robot.dof}
    for name, values in {STATE: state, ACTION: action, COMMANDED: commanded}.items():
        if values.shape != (total, widths[name]) or not np.isfinite(values).all():
            allowed = f"{(total, widths[name])}, finite"
            raise LearnedArmError(
                "column cannot be used", where=f"{dataset}: {name}", got=values.shape, allowed=allowed
            )
    decoded: dict[str, NDArray[np.uint8]] = {}
    if images:
        with ThreadPoolExecutor(max(len(contract.cameras), 1)) as pool:
            jobs = {
                name: pool.submit(_decode, dataset, name, total, spec.size) for name, spec in contract.cameras.items()
            }
            decoded = {name: job.result() for name, job in jobs.items()}
    return Frames(contract, manifest, decoded, state, action, commanded, stamp_ns, source, starts)


def _decode(dataset: Path, camera: str, total: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    frames = np.empty((total, *size, 3), dtype=np.uint8)
    count = 0
    for path in sorted((dataset / "videos" / image_key(camera)).glob("*/*.mp4")):
        for frame in video.decode(path):
            if count == total or frame.shape != frames.shape[1:]:
                got = f"more than {total} frames" if count == total else f"a frame of {frame.shape[:2]}"
                raise LearnedArmError(
                    "video is not that of the manifest", where=path, got=got, allowed=f"{total} of {size}"
                )
            frames[count] = frame
            count += 1
    if count != total:
        raise LearnedArmError(
            "video is not that of the manifest", where=f"{dataset}: {camera}", got=count, allowed=f"{total} frames"
        )
    return frames


def _read_tables(paths: list[Path], dataset: Path) -> pa.Table:
    if not paths:
        raise LearnedArmError("no data", where=dataset, allowed="data/chunk-000/file-000.parquet")
    try:
        return pa.concat_tables([pq.read_table(path) for path in paths])
    except (pa.ArrowException, OSError) as error:
        raise LearnedArmError("data cannot be read", where=dataset, got=str(error), allowed="parquet files") from error


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of fixed-size lists as a matrix."""
    array = column.combine_chunks()
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1).astype(np.float32)

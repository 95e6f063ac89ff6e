"""What a replay leaves beside its verdict for people to look at: traces, and what the cameras saw."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_tools.replay.evidence import Evidence
from learned_arm import cdr
from learned_arm.contract import Contract
from learned_arm.durable import write_whole
from learned_arm.errors import LearnedArmError

TRACES_NAME, FRAMES_NAME = "replay_traces.npz", "replay_frames.npz"
_FRAME_NS = 100_000_000
_MOST_FRAMES = 600


def save_traces(evidence: Evidence, folder: Path) -> None:
    """Write the traces of a replay, whole or not at all."""
    values = {each.name: np.asarray(getattr(evidence, each.name)) for each in fields(Evidence)}
    _save(folder / TRACES_NAME, values)


def load_traces(folder: Path) -> Evidence | None:
    """The traces of a replay; None where there are none.

    Raises:
        LearnedArmError: They cannot be read.
    """
    values = _load(folder / TRACES_NAME)
    if values is None:
        return None
    try:
        plain: dict[str, Any] = {each.name: values[each.name] for each in fields(Evidence)}
    except KeyError as error:
        raise LearnedArmError("not the traces of a replay", where=folder / TRACES_NAME, got=str(error)) from error
    return Evidence(
        **plain
        | {
            "joints": tuple(map(str, plain["joints"])),
            "gripper": tuple(map(int, plain["gripper"])),
            "period_s": float(plain["period_s"]),
            "expected_ticks": int(plain["expected_ticks"]),
            "relative_to_command": bool(plain["relative_to_command"]),
        }
    )


@dataclass(frozen=True)
class Frames:
    """What a camera saw.

    Attributes:
        stamps_ns: Header stamps, rising.
        pictures: RGB, uint8, of shape (height, width, 3) each.
    """

    stamps_ns: NDArray[np.int64]
    pictures: Sequence[NDArray[np.uint8]]

    def at(self, stamp_ns: int) -> NDArray[np.uint8]:
        """The newest picture at or before a time, the first one before that."""
        index = int(np.searchsorted(self.stamps_ns, stamp_ns, side="right")) - 1
        return self.pictures[max(index, 0)]


class FrameKeeper:
    """Keeps a small picture of each camera ten times a second, and the last one as the policy would see it.

    Args:
        contract: Names the cameras.
    """

    def __init__(self, contract: Contract) -> None:
        self._cameras = contract.cameras
        self._kept: dict[str, list[tuple[int, NDArray[np.uint8]]]] = {name: [] for name in contract.cameras}
        self._newest: dict[str, tuple[int, bytes]] = {}

    def see(self, camera: str, raw: bytes) -> None:
        """Take an image message; one that is broken is as good as none.

        Raises:
            LearnedArmError: It is no image, or its size is another one than that of those before.
        """
        stamp_ns, kept = cdr.header_stamp_ns(raw), self._kept[camera]
        if len(kept) < _MOST_FRAMES and (not kept or stamp_ns >= kept[-1][0] + _FRAME_NS):
            kept.append((stamp_ns, self._decoded(camera, raw)))
        self._newest[camera] = (stamp_ns, raw)

    def last(self) -> dict[str, NDArray[np.uint8]] | None:
        """The newest image of every camera in the size that the policy sees; None until each has shown one."""
        if set(self._newest) != set(self._cameras):
            return None
        return {name: camera.picture(self._newest[name][1]) for name, camera in self._cameras.items()}

    def save(self, folder: Path) -> None:
        """Write what was kept, whole or not at all; nothing where no camera showed anything."""
        values: dict[str, NDArray[Any]] = {}
        for name, (stamp_ns, raw) in self._newest.items():
            kept = [*self._kept[name]]
            if stamp_ns > kept[-1][0]:
                # How it ended, whenever that was; where that picture is broken, what came before it.
                with contextlib.suppress(LearnedArmError):
                    kept.append((stamp_ns, self._decoded(name, raw)))
            values[f"{name}/stamps_ns"] = np.array([each for each, _ in kept], np.int64)
            values[f"{name}/pictures"] = np.stack([each for _, each in kept])
        if values:
            _save(folder / FRAMES_NAME, values)

    def _decoded(self, camera: str, raw: bytes) -> NDArray[np.uint8]:
        picture, kept = self._cameras[camera].small(raw), self._kept[camera]
        if kept and picture.shape != kept[0][1].shape:
            raise LearnedArmError("size changed", where=camera, got=picture.shape, allowed=kept[0][1].shape)
        return picture


def load_frames(folder: Path) -> dict[str, Frames]:
    """What the cameras saw during a replay, by camera; empty where nothing was kept.

    Raises:
        LearnedArmError: It cannot be read.
    """
    values = _load(folder / FRAMES_NAME) or {}
    names = dict.fromkeys(key.rsplit("/", 1)[0] for key in values)
    try:
        return {name: Frames(values[f"{name}/stamps_ns"], list(values[f"{name}/pictures"])) for name in names}
    except KeyError as error:
        raise LearnedArmError("not the frames of a replay", where=folder / FRAMES_NAME, got=str(error)) from error


def _save(path: Path, values: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **values)
    write_whole(path, buffer.getvalue())


def _load(path: Path) -> dict[str, NDArray[Any]] | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise LearnedArmError("cannot be read", where=path, got=str(error), allowed="what a replay left") from error

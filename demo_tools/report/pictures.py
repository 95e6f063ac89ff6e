"""Camera pictures of an episode, small, as data URIs: stills and short films of what the cameras saw."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_recorder.bag_reader import BagReader
from demo_tools.replay.keepsakes import Frames
from learned_arm import cdr
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

FILM_RATE_HZ = 10.0
FILM_SPEED = 2.0
_MOST_FILM_FRAMES = 150
_LAST_FRAME_MS = 1200
_STILL_QUALITY, _FILM_QUALITY = 82, 60


def read_stills(folder: Path, contract: Contract) -> dict[str, list[str]]:
    """First, middle and last picture of every camera as data URIs.

    Raises:
        LearnedArmError: The bag is broken, or a camera has no picture in it.
    """
    reader = BagReader(folder)
    topics = {camera.topic: name for name, camera in contract.cameras.items()}
    wanted: dict[str, set[int]] = {}
    for topic in topics:
        count = reader.topics[topic].messages if topic in reader.topics else 0
        if not count:
            raise LearnedArmError("no picture in the bag", where=folder, got=topic, allowed=sorted(reader.topics))
        wanted[topic] = {0, count // 2, count - 1}
    seen = dict.fromkeys(topics, 0)
    stills: dict[str, list[str]] = {name: [] for name in topics.values()}
    for message in reader.messages(topics):
        if seen[message.topic] in wanted[message.topic]:
            camera = topics[message.topic]
            stills[camera].append(data_uri(contract.cameras[camera].small(message.data)))
        seen[message.topic] += 1
    return stills


def read_film(folder: Path, contract: Contract) -> str:
    """All cameras side by side as an animated picture, a data URI, at `FILM_SPEED` times the recorded pace.

    Raises:
        LearnedArmError: The bag is broken, or a camera has no picture in it.
    """
    cameras = read_frames(folder, contract)
    start_ns = max(int(frames.stamps_ns[0]) for frames in cameras)
    end_ns = max(int(frames.stamps_ns[-1]) for frames in cameras)
    step_ns = max(round(1e9 / FILM_RATE_HZ), (end_ns - start_ns) // _MOST_FILM_FRAMES + 1)
    stamps = [*range(start_ns, end_ns, step_ns), end_ns]
    pictures = [beside([frames.at(stamp) for frames in cameras]) for stamp in stamps]
    return animation_uri(pictures, round(step_ns / 1e6 / FILM_SPEED))


def data_uri(picture: NDArray[np.uint8]) -> str:
    """An RGB picture as a WebP data URI."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=_STILL_QUALITY)
    return _uri(buffer.getvalue())


def animation_uri(pictures: Sequence[NDArray[np.uint8]], frame_ms: int) -> str:
    """RGB pictures of one size as an endless WebP animation that rests on its last picture."""
    images = [Image.fromarray(picture) for picture in pictures]
    durations = [frame_ms] * (len(images) - 1) + [_LAST_FRAME_MS]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        quality=_FILM_QUALITY,
        method=4,
    )
    return _uri(buffer.getvalue())


def read_frames(folder: Path, contract: Contract) -> list[Frames]:
    """What each camera saw, small, in the contract's order.

    Raises:
        LearnedArmError: The bag is broken, or a camera has no picture in it.
    """
    reader = BagReader(folder)
    topics = {camera.topic: camera for camera in contract.cameras.values()}
    stamps: dict[str, list[int]] = {topic: [] for topic in topics}
    pictures: dict[str, list[NDArray[np.uint8]]] = {topic: [] for topic in topics}
    least_ns = round(0.5e9 / FILM_RATE_HZ)
    for message in reader.messages(topics):
        stamp_ns = cdr.header_stamp_ns(message.data)
        known = stamps[message.topic]
        # Twice the film's rate is enough to choose from; a fast camera must not fill the memory.
        if known and stamp_ns < known[-1] + least_ns:
            continue
        known.append(stamp_ns)
        pictures[message.topic].append(topics[message.topic].small(message.data))
    empty = [topic for topic in topics if not stamps[topic]]
    if empty:
        raise LearnedArmError("no picture in the bag", where=folder, got=empty)
    return [Frames(np.array(stamps[topic], dtype=np.int64), pictures[topic]) for topic in topics]


def above(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two pictures, one above the other, with a line between."""
    width = max(upper.shape[1], lower.shape[1])
    line = np.full((3, width, 3), 255, dtype=np.uint8)
    padded = [np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0))) for each in (upper, lower)]
    return np.ascontiguousarray(np.concatenate([padded[0], line, padded[1]]), dtype=np.uint8)


def beside(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of any sizes side by side, as high as the highest."""
    height = max(picture.shape[0] for picture in pictures)
    scaled = [
        picture
        if picture.shape[0] == height
        else cv2.resize(picture, (round(picture.shape[1] * height / picture.shape[0]), height))
        for picture in pictures
    ]
    line = np.full((height, 2, 3), 255, dtype=np.uint8)
    parts = [part for picture in scaled for part in (line, picture)][1:]
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.uint8)


def _uri(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"

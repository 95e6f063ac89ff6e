"""Camera frames <-> H.264 video, and what the codec changes about them."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError

# A key frame at every second frame makes any frame quick to reach. Without B frames packets come in display order, so
# that episodes can be put one behind the other without encoding them again.
CODEC = {"name": "libx264", "g": "2", "crf": "18", "preset": "superfast", "bf": "0", "pix_fmt": "yuv420p"}
CODEC_NAME = "h264"
PIXEL_FORMAT = CODEC["pix_fmt"]


@dataclass(frozen=True)
class CodecError:
    """How decoded frames differ from what was encoded, over all pixels and channels, in steps of 8 bit.

    Attributes:
        values: Numbers compared.
        absolute_sum: Sum of absolute differences.
        squared_sum: Sum of squared differences.
        largest: Largest absolute difference.
    """

    values: int = 0
    absolute_sum: int = 0
    squared_sum: int = 0
    largest: int = 0

    def __add__(self, other: CodecError) -> CodecError:
        return CodecError(
            self.values + other.values,
            self.absolute_sum + other.absolute_sum,
            self.squared_sum + other.squared_sum,
            max(self.largest, other.largest),
        )

    def to_json(self) -> dict[str, float | int | None]:
        """Largest and mean absolute error, and the peak signal-to-noise ratio; None where nothing differs."""
        mean_square = self.squared_sum / max(self.values, 1)
        return {
            "max_abs": self.largest,
            "mean_abs": self.absolute_sum / max(self.values, 1),
            "psnr_db": 10 * math.log10(255**2 / mean_square) if mean_square else None,
        }


def compare(original: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> CodecError:
    """The error of decoded frames of the same shape."""
    difference = np.abs(original.astype(np.int16) - decoded.astype(np.int16)).astype(np.int64)
    return CodecError(
        difference.size, int(difference.sum()), int((difference**2).sum()), int(difference.max(initial=0))
    )


def encode(frames: NDArray[np.uint8], rate_hz: int) -> bytes:
    """Encode RGB frames as an MP4.

    Args:
        frames: uint8, shape (N, height, width, 3), N >= 1.
        rate_hz: Frame i lies at i / rate_hz.

    Raises:
        LearnedArmError: A side is odd; the chroma planes of the pixel format are half as large.
    """
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise LearnedArmError("image cannot be encoded", got=f"{width}x{height}", allowed="even sides")
    buffer = io.BytesIO()
    options = {key: CODEC[key] for key in ("g", "crf", "preset", "bf")}
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(CODEC["name"], rate=rate_hz, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, PIXEL_FORMAT
        # One thread: the same frames give the same bytes on every machine.
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def decode(source: Path | bytes) -> Iterator[NDArray[np.uint8]]:
    """Frames of a video in order, uint8, shape (height, width, 3), RGB.

    Raises:
        LearnedArmError: It is no video, or it is broken.
    """
    try:
        with av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), "r") as container:
            # One converter for all frames: setting one up costs more than converting a small frame.
            converter = VideoReformatter()
            for frame in container.decode(video=0):
                yield np.asarray(converter.reformat(frame, format="rgb24").to_ndarray(), dtype=np.uint8)
    except (av.FFmpegError, OSError, IndexError) as error:
        where = "video" if isinstance(source, bytes) else source
        raise LearnedArmError("video cannot be read", where=where, got=str(error), allowed="an MP4") from error


class VideoJoiner:
    """Puts encoded episodes behind each other in one file, packet by packet.

    Args:
        file: Opened for writing, seekable.
        rate_hz: Rate of all of them.
    """

    def __init__(self, file: BinaryIO, rate_hz: int) -> None:
        self._container = av.open(file, "w", format="mp4")
        self._stream: Any = None
        self._rate_hz = rate_hz
        self.frames = 0
        self.bytes = 0

    def add(self, video: bytes) -> int:
        """Append an episode's MP4; the number of its frames.

        Raises:
            LearnedArmError: It was encoded with other settings than the ones before it.
        """
        before = self.frames
        with av.open(io.BytesIO(video), "r") as source:
            template = source.streams.video[0]
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(template)
                self._stream.time_base = Fraction(1, self._rate_hz)
                self._header = template.codec_context.extradata
            elif template.codec_context.extradata != self._header:
                raise LearnedArmError("videos do not belong together", got="other codec settings", allowed="the same")
            for packet in source.demux(template):
                if packet.dts is None:
                    continue
                packet.stream = self._stream
                packet.time_base = Fraction(1, self._rate_hz)
                packet.pts = packet.dts = self.frames
                packet.duration = 1
                self._container.mux(packet)
                self.frames += 1
        self.bytes += len(video)
        return self.frames - before

    def close(self) -> None:
        """Write the index and finish the file."""
        self._container.close()

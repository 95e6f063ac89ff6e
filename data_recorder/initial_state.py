"""Where an episode began, from its own first messages; live and when a bag is recovered."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from data_recorder.topics import SIM_STATE
from learned_arm import cdr, pictures
from learned_arm.contract import Contract
from learned_arm.durable import write_whole
from learned_arm.episode import InitialState
from learned_arm.errors import LearnedArmError

# Lossless at any level; a low one costs a tenth of the time.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)

_PNG_CHANNELS = 3
_LARGEST_BYTES = 8_000_000
_LARGEST_IMAGE_BYTES = 32_000_000


class InitialStateCapture:
    """Takes messages until the first position of every joint and the first image of every camera are known.

    The simulator's state is the last one seen before the joints were known: it is latched, so that the one in force
    when recording started is the first message of the bag.
    """

    def __init__(self, contract: Contract) -> None:
        self._joints = contract.robot.joints
        self._sources = {source.topic: source for source in contract.robot.joint_states}
        self._cameras = {camera.topic: (name, camera) for name, camera in contract.cameras.items()}
        self._positions: dict[str, float] = {}
        self._sim_state: tuple[float, ...] | None = None
        self._raw_images: dict[str, bytes] = {}
        self._saved: dict[str, str] = {}
        self._stamp_ns = 0
        self.wanted: frozenset[str] = frozenset(self._sources) | {SIM_STATE} | set(self._cameras)

    @property
    def complete(self) -> bool:
        """Whether every joint's position is known."""
        return len(self._positions) == len(self._joints)

    def add(self, topic: str, data: bytes) -> int:
        """Look at one message; one that cannot be read, or is huge, is passed over, and stays in the bag.

        Returns:
            At most how many bytes `save_images` will write of it.
        """
        if topic not in self._cameras:
            self._add_state(topic, data)
        elif topic not in self._raw_images and len(data) <= _LARGEST_IMAGE_BYTES:
            may_write = self._bytes_of(topic, data)
            # What a compressed one says of its size reserves no more of the disk than a raw one could.
            if may_write <= _PNG_CHANNELS * _LARGEST_IMAGE_BYTES:
                self._raw_images[topic] = data
                self.wanted -= {topic}
                return may_write
        return 0

    def _bytes_of(self, topic: str, data: bytes) -> int:
        """As how much a first image may be written: a grey one gets three channels, a compressed one grows."""
        try:
            view = pictures.look(data, self._cameras[topic][1].message)
        except LearnedArmError:
            return 0
        return _PNG_CHANNELS * view.height * view.width

    def _add_state(self, topic: str, data: bytes) -> None:
        if self.complete:
            self.wanted -= frozenset(self._sources) | {SIM_STATE}
        if self.complete or len(data) > _LARGEST_BYTES:
            return
        try:
            if topic == SIM_STATE:
                values = cdr.read_float64_array(data)
                self._sim_state = tuple(values.tolist()) if np.isfinite(values).all() else None
            elif topic in self._sources:
                state = cdr.read_joint_state(data)
                if len(state.names) != len(state.position):
                    return
                names = self._sources[topic].ours(state.names)
                for joint, position in zip(names, state.position.tolist(), strict=True):
                    if joint in self._joints and np.isfinite(position):
                        self._positions.setdefault(joint, position)
                        self._stamp_ns = state.stamp_ns
        except LearnedArmError:
            return

    def save_images(self, folder: Path) -> None:
        """Write the first image of each camera beside the bag, lossless; one that cannot be decoded is left out."""
        for topic, data in self._raw_images.items():
            camera, spec = self._cameras[topic]
            try:
                pixels = spec.whole(data)
            except LearnedArmError:
                continue
            done, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _PNG)
            if done:
                self._saved[camera] = f"initial_{camera}.png"
                write_whole(folder / self._saved[camera], encoded.tobytes())

    def state(self) -> InitialState | None:
        """The initial state, None when a joint never showed up: a missing one is not made up."""
        if not self.complete:
            return None
        positions = {joint: self._positions[joint] for joint in self._joints}
        return InitialState(self._stamp_ns, positions, self._sim_state, dict(self._saved))

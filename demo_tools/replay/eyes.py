"""What a replay sees: keeps what cameras show while labels are played; lays the recorded table over the live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node
from sensor_msgs.msg import Image

from demo_tools.replay.judge import Images
from demo_tools.replay.keepsakes import FRAMES_NAME, FrameKeeper
from demo_tools.replay.overlay import overlay, side_by_side
from demo_tools.replay.playback import Playback
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos

_OVERLAY_NS = 500_000_000


class Eyes:
    """The cameras of a replay node; called with the node's lock held.

    Attributes:
        alike: How the live table compares with the recorded one, in words; empty until both were seen.

    Args:
        node: Whose executor takes the images.
        guard: Calls a function with the node's lock held.
    """

    def __init__(self, node: Node, guard: Callable[[Callable[[], None]], None]) -> None:
        self._node, self._guard = node, guard
        self._overlays = node.create_publisher(Image, "~/overlay", qos.small())
        self._contract: Contract | None = None
        self.forget()

    def forget(self) -> None:
        """Nothing of the replay before."""
        self.alike = ""
        self._first: Images = {}
        self._newest: dict[str, bytes] = {}
        self._kept: FrameKeeper | None = None
        self._playback: Playback | None = None

    def open(self, contract: Contract, lock_step: bool) -> None:
        """Subscribe to the contract's cameras."""
        self._contract = contract
        for name, camera in contract.cameras.items():
            profile = qos.images_in(lock_step)
            kind = messages.image_type(camera.message)
            self._node.create_subscription(kind, camera.topic, self._callback(name), profile, raw=True)

    def watch(self, playback: Playback, first: Images) -> None:
        """Look at a replay, and at the table before it if there are recorded first images."""
        self._playback, self._first = playback, first

    def tick(self, tick_ns: int) -> bool:
        """Show the judge how it ends, and a person the table; True when there is something new to say about it."""
        playback, contract = self._playback, self._contract
        if playback is None or contract is None:
            return False
        try:
            if playback.ending and self._kept is not None and (seen := self._kept.last()) is not None:
                playback.look(seen)
            if playback.waits and tick_ns % _OVERLAY_NS < contract.period_ns:
                return self._show(contract, tick_ns)
        except LearnedArmError as error:
            self._node.get_logger().error(f"cannot be looked at: {error}", throttle_duration_sec=5.0)
        return False

    def save(self, folder: Path) -> None:
        """Leave what the cameras showed in a folder."""
        (folder / FRAMES_NAME).unlink(missing_ok=True)
        if self._kept is not None:
            self._kept.save(folder)

    def _show(self, contract: Contract, tick_ns: int) -> bool:
        found = {
            name: overlay(self._first[name], contract.cameras[name].picture(raw))
            for name, raw in self._newest.items()
            if name in self._first
        }
        if found:
            self.alike = ", ".join(f"{name} {each.words()}" for name, each in sorted(found.items()))
            self._overlays.publish(messages.rgb_image(tick_ns, side_by_side(found)))
        return bool(found)

    def _callback(self, camera: str) -> Callable[[bytes], None]:
        def on_image(raw: bytes) -> None:
            self._guard(lambda: self._take(camera, raw))

        return on_image

    def _take(self, camera: str, raw: bytes) -> None:
        if self._playback is None or self._contract is None:
            return
        self._newest[camera] = raw
        if not self._playback.playing:
            return
        if self._kept is None:
            self._kept = FrameKeeper(self._contract)
        try:
            self._kept.see(camera, raw)
        except LearnedArmError as error:
            self._node.get_logger().error(f"{camera} refused: {error}", throttle_duration_sec=1.0)

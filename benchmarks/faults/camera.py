"""A camera that can be broken, one process each."""

from __future__ import annotations

import sys

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from benchmarks.faults.part import Part
from benchmarks.faults.world import GOOD, HANGS, INFINITE, NAN, SHORT, SLOW, mark, picture
from benchmarks.streams import Stamped
from learned_arm.ros import messages, qos
from learned_arm.ros.node import parameter, run

_OFF_NS = 10_000_000_000
_MODES = {"nan": NAN, "infinite": INFINITE, "short": SHORT, "hangs": HANGS, "slow": SLOW}
"""Pictures that break the model."""
_LIES = ("step", "size", "encoding")
"""What the message says of its pixels is not so."""
FAULTS = ("frozen", "silent", "future", "backward", "disorder", *_LIES, *_MODES)


def image(camera: str, stamp_ns: int, mode: int, height: int, width: int) -> Image:
    """The picture of a camera as a message."""
    message = Image(height=height, width=width, encoding="rgb8", step=width * 3)
    message.header.stamp = messages.time_message(stamp_ns)
    message.header.frame_id = camera
    message.data.frombytes(np.ascontiguousarray(picture(camera, stamp_ns, mode, height, width)).tobytes())
    return message


class Pictures(Stamped):
    """The pictures of a camera, serialised.

    Only what differs from one to the next is written: to make a large picture anew costs more than all that a policy
    does with it.
    """

    def __init__(self, camera: str, height: int, width: int) -> None:
        super().__init__(image(camera, 0, GOOD, height, width))
        # The pixels are the last field of the message.
        self._pixels = np.frombuffer(self._raw, np.uint8)[-height * width * 3 :].reshape(height, width, 3)

    def at(self, stamp_ns: int, mode: int = GOOD) -> bytes:
        """The picture of a moment."""
        mark(self._pixels, stamp_ns, mode)
        return super().at(stamp_ns)


class Camera(Part):
    """Publishes pictures; parameters `camera`, `rate_hz`, `height`, `width`."""

    def __init__(self) -> None:
        super().__init__("camera", 1.0, FAULTS)
        self._camera = str(parameter(self, "camera", "front", "its name in the contract"))
        self._period_s = 1.0 / float(parameter(self, "rate_hz", 30.0, "pictures a second"))
        self._height = int(parameter(self, "height", 96, "pixels"))
        self._width = int(parameter(self, "width", 96, "pixels"))
        self._out = self.create_publisher(Image, f"/{self._camera}/image_raw", qos.images_out())
        self._pictures = Pictures(self._camera, self._height, self._width)
        self._frozen_ns = self._kept_ns = 0
        self.start()

    def struck(self, fault: str) -> None:
        """See `Part`."""
        self._frozen_ns = self._kept_ns = 0

    def publish(self, now_ns: int) -> None:
        """One picture, or what is left of it."""
        fault = self.fault
        if fault == "silent":
            return
        if fault == "frozen":
            self._frozen_ns = self._frozen_ns or now_ns
        off_ns = {"future": _OFF_NS, "backward": -_OFF_NS}.get(fault, 0)
        stamp_ns = self._frozen_ns if fault == "frozen" else now_ns + off_ns
        if fault == "disorder":
            # Every picture waits for the next one and comes after it.
            if not self._kept_ns:
                self._kept_ns = now_ns
                return
            self._send(now_ns, fault)
            stamp_ns, self._kept_ns = self._kept_ns, 0
        self._send(stamp_ns, fault)

    def _send(self, stamp_ns: int, fault: str) -> None:
        if fault not in _LIES:
            self._out.publish(self._pictures.at(stamp_ns, _MODES.get(fault, GOOD)))
            return
        message = image(self._camera, stamp_ns, GOOD, self._height, self._width)
        if fault == "step":
            message.step += 1
        elif fault == "size":
            message.height = 2**31
        else:
            message.encoding = "bayer_rggb8"
        self._out.publish(serialize_message(message))


if __name__ == "__main__":
    sys.exit(run(Camera))

"""Two ways in which simulated time passes: in step with the door, or with the clock on the wall."""

from __future__ import annotations

import queue
import threading
from typing import Protocol

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from demo_tools.simulation.cameras import CameraRig
from demo_tools.simulation.things import Sight
from demo_tools.simulation.world import World
from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.ros import qos
from learned_arm.ros.ticker import GridTicker

_SECOND_NS = 1_000_000_000
_FIRST_CONTACT_PERIOD_S = 0.25
_MOST_PERIODS_TO_CATCH_UP = 20


class Pace(Protocol):
    """What makes time pass."""

    def begin(self) -> None:
        """Start, with the world in its initial state."""

    def close(self) -> None:
        """Stop, and free what drawing holds."""

    def commanded(self, group: str) -> None:
        """A group's controller got a command."""

    def was_reset(self) -> None:
        """The world is in another state now."""


class LockStep:
    """Advances when the door has answered. Everything happens on the thread that spins the node."""

    def __init__(self, node: Node, world: World) -> None:
        self._node, self._world, self._arm = node, world, world.arm
        self._rig = CameraRig(world.arm)
        self._answered: tuple[str, ...] | None = None
        self._fresh: set[str] = set()
        self._heard = False
        self._met: set[bytes] = set()
        node.create_subscription(JointState, "/arm/sent", self._on_sent, qos.small(), raw=True)
        node.create_timer(_FIRST_CONTACT_PERIOD_S, self._look_for_door, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def begin(self) -> None:
        """Publish the first tick."""
        self._publish()

    def close(self) -> None:
        """Free the OpenGL contexts."""
        self._rig.close()

    def commanded(self, group: str) -> None:
        """A controller got a command."""
        self._fresh.add(group)
        self._advance_when_answered()

    def was_reset(self) -> None:
        """Go on from the next whole second, with nothing left of before."""
        self._arm.skip_to((self._arm.now_ns // _SECOND_NS + 1) * _SECOND_NS)
        self._publish()

    def _publish(self) -> None:
        self._answered = None
        self._fresh.clear()
        if self._world.on_tick:
            self._world.publish_task()
            self._world.publish_images(self._rig, self._arm.now_ns, self._world.sight())
        self._world.publish_joints()
        self._world.publish_clock()

    def _on_sent(self, raw: bytes) -> None:
        self._heard = True
        view = cdr.read_joint_state(raw)
        if view.stamp_ns == self._arm.now_ns:
            self._answered = view.names
            self._advance_when_answered()

    def _advance_when_answered(self) -> None:
        if self._answered is None:
            return
        for controller in self._world.contract.robot.controllers:
            asked = any(joint in self._answered for joint in controller.joints)
            if asked and controller.groups[0] not in self._fresh:
                return
        self._arm.step(self._world.control_ns)
        self._publish()

    def _look_for_door(self) -> None:
        """Repeat the tick for a door that came after it was published, until that door has answered once.

        Never for one that has: it may be waiting for a source, and counts its patience from the tick.
        """
        doors = {bytes(door.endpoint_gid) for door in self._node.get_publishers_info_by_topic("/arm/sent")}
        if self._heard:
            self._met, self._heard = doors, False
        elif doors - self._met:
            self._world.publish_joints()
            self._world.publish_clock()


class RealTime:
    """Keeps pace with the clock: physics and joints on one thread, drawing on another."""

    def __init__(self, node: Node, world: World) -> None:
        self._node, self._world, self._arm = node, world, world.arm
        self._to_draw: queue.Queue[tuple[int, Sight] | None] = queue.Queue(maxsize=1)
        self._skipped_frames = 0
        self._ticker: GridTicker | None = None
        self._failure: LearnedArmError | None = None
        self._can_draw = threading.Event()
        self._drawing = threading.Thread(target=self._draw, name="cameras", daemon=True)

    def begin(self) -> None:
        """Start both threads; raises when there is nothing to draw with."""
        self._drawing.start()
        self._can_draw.wait()
        if self._failure is not None:
            raise self._failure
        now_ns = self._node.get_clock().now().nanoseconds
        self._arm.skip_to(now_ns // self._world.control_ns * self._world.control_ns)
        self._ticker = GridTicker(self._node, self._world.control_ns, self._on_tick)

    def close(self) -> None:
        """End both threads."""
        if self._ticker is not None:
            self._ticker.close()
        self._to_draw.put(None)
        self._drawing.join(timeout=2.0)

    def commanded(self, group: str) -> None:
        """Nothing waits for commands here."""

    def was_reset(self) -> None:
        """Real time goes on by itself."""

    def _on_tick(self, tick_ns: int, late_ns: int) -> None:
        node, world = self._node, self._world
        with world.lock:
            periods = (tick_ns - self._arm.now_ns) // world.control_ns
            if periods > _MOST_PERIODS_TO_CATCH_UP:
                self._arm.skip_to(tick_ns - world.control_ns)
                periods = 1
            for _ in range(periods):
                self._arm.step(world.control_ns)
            world.publish_joints()
            if not world.on_tick:
                return
            world.publish_task()
            picture = (tick_ns, world.sight())
        try:
            self._to_draw.put_nowait(picture)
        except queue.Full:
            self._skipped_frames += 1
            node.get_logger().warning(
                f"drawing is too slow: {self._skipped_frames} frames left out", throttle_duration_sec=5.0
            )

    def _draw(self) -> None:
        try:
            rig = CameraRig(self._arm)
        except LearnedArmError as error:
            self._failure = error
            return
        finally:
            self._can_draw.set()
        while (picture := self._to_draw.get()) is not None:
            self._world.publish_images(rig, *picture)
        rig.close()

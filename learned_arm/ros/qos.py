"""QoS profiles that every node shares."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

NEWEST_DEPTH = 10


def small() -> QoSProfile:
    """Commands, states, targets: reliable, the last 100."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE)


def newest(depth: int = NEWEST_DEPTH) -> QoSProfile:
    """States of which only the newest count: reliable, the last few, so that a busy reader never lags far behind."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.RELIABLE)


def latched(depth: int = 1) -> QoSProfile:
    """What late joiners must see: reliable, transient local, the last ones."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def images_out() -> QoSProfile:
    """Image publishers: reliable, the last 10, so that both kinds of subscriber match."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE)


def sensors_in(lock_step: bool) -> QoSProfile:
    """Fast sensors' subscribers: best effort on a robot, reliable where each message is awaited; the last 100."""
    reliability = ReliabilityPolicy.RELIABLE if lock_step else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100, reliability=reliability)


def images_in(lock_step: bool) -> QoSProfile:
    """Image subscribers: best effort on a robot (matches every driver), reliable where each frame is awaited."""
    reliability = ReliabilityPolicy.RELIABLE if lock_step else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=reliability)

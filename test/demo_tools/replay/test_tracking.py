"""Tracking says how far, which joint, and from when on."""

from __future__ import annotations

import numpy as np

from demo_tools.replay.tracking import lateness_report, tracking_report

JOINTS = ("a", "b")


def test_the_first_divergence_names_tick_joint_and_error() -> None:
    recorded = np.zeros((10, 2))
    replayed = recorded.copy()
    replayed[4:, 1] = 0.06
    replayed[7:, 0] = 0.2
    report = tracking_report(JOINTS, recorded, replayed)
    assert report["first_divergence"] == {"tick_index": 4, "joint": "b", "error_rad": 0.06}
    assert report["joints"]["a"]["max_rad"] == 0.2


def test_an_exact_replay_diverges_nowhere() -> None:
    recorded = np.random.default_rng(0).normal(size=(10, 2))
    report = tracking_report(JOINTS, recorded, recorded[:6])
    assert report["first_divergence"] is None
    assert report["ticks"] == 6
    assert all(joint["rms_rad"] == 0.0 for joint in report["joints"].values())


def test_a_replay_that_never_began_has_no_errors() -> None:
    assert tracking_report(JOINTS, np.zeros((10, 2)), np.empty((0, 2)))["joints"] == {}
    assert lateness_report([])["max_ms"] == 0.0


def test_lateness_is_in_milliseconds() -> None:
    assert lateness_report([0, 1_000_000, 3_000_000])["max_ms"] == 3.0

"""Looks at the robot that runs and compares it with the one that an episode was recorded on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rclpy.node import Node

from demo_tools.provenance.sides import load_side
from demo_tools.replay.preflight import Preflight, preflight
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.provenance_rules import load_rules
from learned_arm.ros.capture import Capture

# Between the episodes of a session nobody changes the robot within this time.
_FRESH_S = 30.0
_CONTRACT = ("contract", "contract_content")


class Examiner:
    """Takes snapshots in the executor of a node.

    Args:
        node: Whose executor works.
        contract: Names cameras and joint states.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self._capture = Capture(node, contract)
        self._rules = load_rules()
        self._taken_s = 0.0
        self._live: dict[str, Any] | None = None
        self._looked_again = False

    def begin(self) -> None:
        """Look at the robot, unless it was looked at a moment ago; from the executor."""
        if self._live is None or time.monotonic() - self._taken_s > _FRESH_S:
            self._looked_again = False
            self._look()

    def compared_with(self, episode: Path, relabelled: bool) -> Preflight | None:
        """What the comparison with an episode comes to; None while the robot is being looked at.

        What differs is looked at twice: a node that has just been discovered may not have told its name yet.

        Args:
            episode: Its folder.
            relabelled: Whether labels of another contract than the recorded one were asked for: then that it is another
                one says nothing about the robot.
        """
        if self._live is None:
            return None
        try:
            recorded = load_side(episode)
        except LearnedArmError as error:
            return Preflight(not_compared=str(error))
        same = {name: recorded[name] for name in _CONTRACT if relabelled and name in recorded}
        found = preflight(recorded, self._live | same, self._rules)
        if (found.refuses or found.tests) and not self._looked_again:
            self._looked_again = True
            self._look()
            return None
        if found.refuses:
            # Whoever mends the robot begins anew at once.
            self._live = None
        return found

    def close(self) -> None:
        """Look no more."""
        self._capture.close()

    def _look(self) -> None:
        self._live = None
        self._capture.begin(self._took)

    def _took(self, snapshot: dict[str, Any]) -> None:
        self._taken_s, self._live = time.monotonic(), snapshot

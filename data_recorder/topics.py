"""Which topics an episode is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from learned_arm import checked
from learned_arm.contract import Contract
from learned_arm.episode import REQUESTED, SENT
from learned_arm.errors import LearnedArmError

SIM_STATE = "/sim/state"
PROVENANCE = "/recorder_node/provenance"
_DOOR = (REQUESTED, SENT, "/arm_node/status")
_EXTRAS = (
    "/task/success",
    SIM_STATE,
    "/robot_description",
    "/tf",
    "/tf_static",
    "/parameter_events",
    "/policy_node/ticks",
    "/policy_node/status",
)
_TARGETS = re.compile(r"/arm/[A-Za-z0-9_]+/targets")


class TopicSelection:
    """The topics of a contract, the door's, every source's targets, and what the user adds.

    Args:
        contract: Names the cameras, the joint states and the controllers.
        extra_topics: More topics, absolute names.
        pattern: Regular expression of whole names of more topics, '' for none.
        exclude: Regular expression of whole names that are left out; what the contract needs is never left out.

    Raises:
        LearnedArmError: An extra topic is not an absolute name, or a pattern is no regular expression.
    """

    def __init__(
        self, contract: Contract, extra_topics: Sequence[str] = (), pattern: str = "", exclude: str = ""
    ) -> None:
        cameras = contract.cameras.values()
        self.joint_states = tuple(source.topic for source in contract.robot.joint_states)
        self.required = contract.required_topics
        self._pattern, self._exclude = _expression(pattern, "topic_pattern"), _expression(exclude, "exclude_pattern")
        named = [
            *self.required,
            *(camera.info_topic for camera in cameras),
            *(each.command.topic for each in contract.robot.controllers if each.command.topic),
            *_DOOR,
            *_EXTRAS,
            *([contract.success.topic] if contract.success.topic else []),
            *(checked.topic(each, f"extra_topics[{index}]") for index, each in enumerate(extra_topics) if each),
        ]
        self.named = frozenset(named)
        self.images = frozenset(camera.topic for camera in cameras)

    def wanted(self, existing: Iterable[str]) -> list[str]:
        """Those of the existing topics that belong into an episode."""
        return [topic for topic in existing if self._wants(topic)]

    def _wants(self, topic: str) -> bool:
        if topic in self.required:
            return True
        if self._exclude is not None and self._exclude.fullmatch(topic):
            return False
        more = self._pattern is not None and self._pattern.fullmatch(topic)
        return bool(topic in self.named or _TARGETS.fullmatch(topic) or more)


def _expression(pattern: str, where: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        return re.compile(pattern)
    except re.error as error:
        raise LearnedArmError(
            "not a regular expression", where=f"parameter {where}", got=pattern, allowed=str(error)
        ) from error

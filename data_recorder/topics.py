"""Which topics an episode is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from learned_arm import checked
from learned_arm.contract import Contract

SIM_STATE = "/sim/state"
PROVENANCE = "/recorder_node/provenance"
SENT = "/arm/sent"
_DOOR = ("/arm/requested", SENT, "/arm_node/status")
_EXTRAS = ("/task/success", SIM_STATE, "/robot_description", "/policy_node/ticks", "/policy_node/status")
_TARGETS = re.compile(r"/arm/[A-Za-z0-9_]+/targets")


class TopicSelection:
    """The topics of a contract, the door's, every source's targets, and what the user adds.

    Args:
        contract: Names the cameras, the joint states and the controllers.
        extra_topics: More topics, absolute names.

    Raises:
        LearnedArmError: An extra topic is not an absolute name.
    """

    def __init__(self, contract: Contract, extra_topics: Sequence[str] = ()) -> None:
        cameras = contract.cameras.values()
        self.joint_states = tuple(source.topic for source in contract.robot.joint_states)
        self.required = tuple(camera.topic for camera in cameras) + self.joint_states
        named = [
            *self.required,
            *(camera.info_topic for camera in cameras),
            *(each.command.topic for each in contract.robot.controllers if each.command.topic),
            *_DOOR,
            *_EXTRAS,
            *([contract.success.topic] if contract.success.topic else []),
            *(checked.topic(each, f"extra_topics[{index}]") for index, each in enumerate(extra_topics) if each),
        ]
        self.named = tuple(dict.fromkeys(named))
        self.images = frozenset(camera.topic for camera in cameras)

    def wanted(self, existing: Iterable[str]) -> list[str]:
        """Those of the existing topics that belong into an episode."""
        named = set(self.named)
        return [topic for topic in existing if topic in named or _TARGETS.fullmatch(topic)]

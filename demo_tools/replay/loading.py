"""One replay as it was asked for, and what it needs from disk. No ROS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from arm_control.moveit_mover import mover_of
from arm_control.mover import Mover
from demo_tools.dataset.ticks import EpisodeTicks, read_episode_ticks
from demo_tools.replay.judge import GoalImageJudge, Images
from demo_tools.replay.player import Manner
from demo_tools.replay.session_look import end_images, session_look
from demo_tools.replay.verdict import SENT
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, episode_folders
from learned_arm.errors import LearnedArmError


@dataclass(frozen=True)
class Asked:
    """One replay as it was asked for: what is set while it runs is for the next one.

    Attributes:
        episode: Its folder.
        stream: What is played, see `Playback`.
        contract: Labels of this contract, by name or path; empty: the episode's.
        manner: How labels are played.
        into: Folder of the verdict.
        cameras: Whether there is anything to see.
        overlay: Whether a person says first that the table is as it was.
        calibrated_on: Folder of the session whose ends tell what solved looks like.
        tolerance_rad: Largest distance of a joint from the recorded initial position.
        preflight: Whether the robot that runs is compared with the recorded one.
        speed_scale: Share of the limits that the move to the initial position uses.
        mover: What plans that move.
    """

    episode: Path
    stream: str
    contract: str
    manner: Manner
    into: Path
    cameras: bool
    overlay: bool
    calibrated_on: Path
    tolerance_rad: float
    preflight: bool
    speed_scale: float
    mover: str


@dataclass(frozen=True)
class Loaded:
    """What a replay needs.

    Attributes:
        episode: What was recorded.
        contract: That labels are played under.
        ticks: The episode's, under that contract.
        goal: Compares how it ends with how it ended; None where the contract has another judge.
        first: The recorded first images by camera; empty where no person is asked.
        mover: Plans the move to the initial position.
    """

    episode: Episode
    contract: Contract
    ticks: EpisodeTicks
    goal: GoalImageJudge | None
    first: Images
    mover: Mover


def load(asked: Asked, episode: Episode) -> Loaded:
    """Read what one replay needs.

    Raises:
        LearnedArmError: The labels cannot be played on the recorded arm, the bag is broken, or what was asked for needs
            cameras or MoveIt and there are none.
    """
    contract = load_contract(asked.contract) if asked.contract else episode.loaded_contract
    _check(asked, episode, contract)
    first = end_images(asked.episode, contract, last=False) if asked.overlay else {}
    goal = None
    if contract.success.judge == "goal_image":
        look = session_look(episode_folders([asked.calibrated_on]), contract)
        aim = end_images(asked.episode, contract) if episode.outcome == "success" else None
        goal = GoalImageJudge(look, aim)
    # What was sent is read from the stream of that name, whatever the labels are made of.
    sent = replace(contract, action=replace(contract.action, source="sent"))
    ticks = read_episode_ticks(asked.episode, sent if asked.stream == SENT else contract, images=False)
    return Loaded(episode, contract, ticks, goal, first, mover_of(asked.mover, contract.robot))


def _check(asked: Asked, episode: Episode, contract: Contract) -> None:
    recorded = episode.loaded_contract.robot.joints
    if contract.robot.joints != recorded:
        raise LearnedArmError(
            "labels of another arm", where=asked.contract, got=list(contract.robot.joints), allowed=list(recorded)
        )
    if contract.task != episode.task:
        raise LearnedArmError("labels of another task", where=asked.contract, got=contract.task, allowed=episode.task)
    needs = {"overlay": asked.overlay, "the judge goal_image": contract.success.judge == "goal_image"}
    for what, needed in needs.items():
        if needed and not asked.cameras:
            raise LearnedArmError(f"{what} needs eyes", where="replay", got="cameras: false", allowed="cameras: true")

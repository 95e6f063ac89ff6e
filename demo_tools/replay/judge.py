"""Did it solve the task? Judges watch a replay and say so, each with its evidence; none sees a simulator's state.

A judge is a class with `observe`, which is given what it asks for, and `judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics
from learned_arm.robot import Robot

Images = Mapping[str, NDArray[np.uint8]]
# The tool at the end; without kinematics a joint of the arm, and a gripper that holds nothing.
FINAL_TOOL_RAD = 0.35
FINAL_POSE_RAD, FINAL_GRIPPER_RAD = 0.12, 0.06
# From here on a gripper is kept from its target by what it holds.
_GRIPS_RAD = 0.03
# Pictures are compared at this size: a hair's breadth of the arm moves no cell.
_CELLS = 24
_RIDGE = 0.1


@dataclass(frozen=True)
class Judgement:
    """Success and what it rests on."""

    success: bool
    evidence: dict[str, Any]


class TopicJudge:
    """Believes a Bool topic: success must have been said and must still hold at the end."""

    def __init__(self) -> None:
        self._latched = False
        self._at_end = False
        self._heard = 0

    def observe(self, success: bool) -> None:
        """Take one message of the success topic."""
        self._heard += 1
        self._latched = self._latched or success
        self._at_end = success

    def judge(self) -> Judgement:
        """The judgement so far."""
        evidence = {"judge": "topic", "latched": self._latched, "at_end": self._at_end, "messages": self._heard}
        return Judgement(self._latched and self._at_end, evidence)


class OperatorJudge:
    """Believes a person, who looks at how it ended."""

    def __init__(self) -> None:
        self._said: bool | None = None

    @property
    def waits(self) -> bool:
        """Whether nothing was said yet."""
        return self._said is None

    def observe(self, success: bool) -> None:
        """Take the word."""
        self._said = success

    def judge(self) -> Judgement:
        """The judgement so far."""
        said = {None: "nothing", True: "success", False: "failure"}[self._said]
        return Judgement(self._said is True, {"judge": "operator", "said": said})


@dataclass(frozen=True)
class FinalPose:
    """Where an episode ended, rad, shape (dof,): measured, and what the arm was told there."""

    measured_rad: NDArray[np.float64]
    sent_rad: NDArray[np.float64]


class FinalPoseJudge:
    """Every tool ends where it ended in the recording, and the gripper holds as it held.

    Where the tools are, the robot's kinematics say (the last link of each arm); of a robot without, every joint must be
    where it was.

    A gripper that is kept from where it was told to be has something between its jaws. How wide that is depends on how
    it lies there; that the jaws are kept apart does not.

    What is said here in rad is said of a sliding joint by the share of its stroke, see `Robot.per_rad`.

    Args:
        robot: Its joints, and its kinematics where they are known.
        gripper: Places of the gripper's joints.
        recorded: The end of the recording.
        tool_m: How far from there the tool may end.
    """

    def __init__(self, robot: Robot, gripper: Sequence[int], recorded: FinalPose, tool_m: float) -> None:
        self._tool_m = tool_m
        self._joints, self._gripper, self._recorded = robot.joints, tuple(gripper), recorded
        known = robot.kinematics
        self._kinematics = None if known is None else ForwardKinematics(known, robot.joints)
        self._tools = () if known is None else known.tips
        self._per_rad = robot.per_rad
        self._final: FinalPose | None = None

    def observe(self, final: FinalPose) -> None:
        """Take where the arm is; the last one counts."""
        self._final = final

    def judge(self) -> Judgement:
        """The judgement so far."""
        if self._final is None:
            return Judgement(False, {"judge": "final_pose", "worst": None})
        shares = {**self._arm_shares(self._final), **self._gripper_shares(self._final)}
        worst = max(shares, key=lambda each: shares[each])
        evidence = {"judge": "final_pose", "worst": worst, "share_of_allowed": round(shares[worst], 4)}
        return Judgement(shares[worst] <= 1.0, evidence)

    def _arm_shares(self, final: FinalPose) -> dict[str, float]:
        """How much of what is allowed tool or joints use up."""
        then, now = self._recorded.measured_rad, final.measured_rad
        if self._kinematics is None:
            arm = [place for place in range(len(self._joints)) if place not in self._gripper]
            away = np.abs(now - then) / self._per_rad
            return {self._joints[place]: float(away[place]) / FINAL_POSE_RAD for place in arm}
        poses, shares = self._kinematics.poses(np.stack([then, now])), {}
        for link in self._tools:
            before, after = poses[:, self._kinematics.links.index(link)]
            cosine = (np.trace(before[:3, :3].T @ after[:3, :3]) - 1.0) / 2.0
            tool = "the tool" if len(self._tools) == 1 else link
            shares[f"place of {tool}"] = float(np.linalg.norm(after[:3, 3] - before[:3, 3])) / self._tool_m
            shares[f"turn of {tool}"] = float(np.arccos(np.clip(cosine, -1.0, 1.0))) / FINAL_TOOL_RAD
        return shares

    def _gripper_shares(self, final: FinalPose) -> dict[str, float]:
        """The same for grippers: half the squeeze of the recording is what is asked for where there was one."""
        kept_then = (self._recorded.sent_rad - self._recorded.measured_rad) / self._per_rad
        kept_now = (final.sent_rad - final.measured_rad) / self._per_rad
        away = np.abs(final.measured_rad - self._recorded.measured_rad) / self._per_rad
        shares = {}
        for place in self._gripper:
            if abs(kept_then[place]) > _GRIPS_RAD:
                share = 2.0 - 2.0 * min(max(kept_now[place] / kept_then[place], 0.0), 1.0)
            else:
                share = away[place] / FINAL_GRIPPER_RAD
            shares[self._joints[place]] = float(share)
        return shares


class Look:
    """What a session's own successes and failures look like at their ends: a direction in which they differ.

    Cameras are averaged to 24 x 24 cells, each with its colour and how far that is from grey; ridge regression of
    success on the cells of all cameras gives the direction, which is what tells them apart and not what merely moves,
    such as the arm against the table.

    Args:
        solved: Last images of episodes or replays that are known to have solved the task, one each by camera.
        unsolved: Of those known not to have.

    Attributes:
        least: The score from which on something looks solved.

    Raises:
        LearnedArmError: One of the kinds is missing.
    """

    def __init__(self, solved: Sequence[Images], unsolved: Sequence[Images]) -> None:
        if not solved or not unsolved:
            raise LearnedArmError(
                "cannot be calibrated",
                where="goal image",
                got=f"{len(solved)} successes, {len(unsolved)} failures",
                allowed="one of each or more",
            )
        rows = np.stack([_features(each) for each in (*solved, *unsolved)])
        said = np.concatenate([np.full(len(solved), 1.0), np.full(len(unsolved), -1.0)])
        # Either kind weighs the same, however many there are of it.
        self._centre = (rows[said > 0].mean(axis=0) + rows[said < 0].mean(axis=0)) / 2
        rows = rows - self._centre
        gram = rows @ rows.T
        ridge = _RIDGE * float(np.trace(gram)) / len(rows)
        if not ridge > 0.0:
            raise LearnedArmError(
                "cannot be calibrated",
                where="goal image",
                got="the same picture of every end",
                allowed="other ones",
            )
        inverse = np.linalg.inv(gram + ridge * np.eye(len(rows)))
        weights = inverse @ said
        self._direction = rows.T @ weights
        # What each would have scored had it not been among those that the direction was learned from.
        scores = said - weights / np.diag(inverse)
        self.least = _best_split(scores[said > 0], scores[said < 0])

    def score(self, images: Images) -> float:
        """How solved it looks: about 1 for a success, -1 for a failure."""
        return float((_features(images) - self._centre) @ self._direction)


class GoalImageJudge:
    """The last images look as solved as the recorded last ones do, or as the session's successes.

    Args:
        look: Calibrated on the session.
        goal: Recorded last images of a success by camera, uint8 RGB, shape (height, width, 3); None of a failure, whose
            end is nothing to aim at.
    """

    def __init__(self, look: Look, goal: Images | None) -> None:
        self._look = look
        # A recorded success that itself looks less solved than others asks for no more than it shows.
        self._least = look.least if goal is None else min(look.least, look.score(goal))
        self._last: Images | None = None

    def observe(self, images: Images) -> None:
        """Take images by camera; the last ones count."""
        self._last = images

    def judge(self) -> Judgement:
        """The judgement so far."""
        if self._last is None:
            return Judgement(False, {"judge": "goal_image", "score": None})
        score = self._look.score(self._last)
        evidence = {"judge": "goal_image", "score": round(score, 4), "least": round(self._least, 4)}
        return Judgement(score >= self._least, evidence)


def _best_split(solved: NDArray[np.float64], unsolved: NDArray[np.float64]) -> float:
    """The score that tells most of either kind apart; of those that do so alike the middle of the widest gap."""
    every = np.unique([*solved, *unsolved])
    places = (every[1:] + every[:-1]) / 2
    right = [(solved >= each).mean() + (unsolved < each).mean() for each in places]
    best = np.flatnonzero(np.isclose(right, np.max(right)))
    return float(places[best[np.argmax(np.diff(every)[best])]])


def _features(images: Images) -> NDArray[np.float64]:
    return np.concatenate([_cells(images[name]).ravel() for name in sorted(images)])


def _cells(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean colours in [0, 1] of 24 x 24 cells and their distance from grey, shape (24, 24, 4)."""
    height, width = image.shape[:2]
    rows, columns = (np.linspace(0, size, _CELLS + 1).astype(int)[:-1] for size in (height, width))
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), rows, axis=0), columns, axis=1)
    areas = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
    colours = sums / areas[:, :, None] / 255.0
    # Whatever colour a thing has, it is one; tables and robots are mostly grey.
    return np.concatenate([colours, np.ptp(colours, axis=2, keepdims=True)], axis=2)

"""Replays demonstrations under every seeded fault, judges them without the simulator's state, and asks for the cause.

The truth is the simulator's own judge. What counts is that every fault that spoils the task fails by the final pose and
the goal image, that one that does not passes, and that the diagnosis names the right cause first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.replay_faults.faults import FAULTS, Fault, FaultyArm
from demo_tools.direct.demonstrate import Demonstration, demonstrate
from demo_tools.direct.replay import replay_direct
from demo_tools.replay.judge import FinalPose, FinalPoseJudge, GoalImageJudge, Images, Judgement, Look
from demo_tools.simulation.arm import ArmSimulation
from demo_tools.simulation.cameras import CameraRig
from learned_arm.contract import Contract

# How far beside the cube or the hole somebody who misses goes.
_MISSED_BY_M = {"insert_peg": (0.006, 0.06)}
_CUBE_MISSED_BY_M = (0.025, 0.06)
_SETTLE_TICKS = 15
Session = list[tuple[Demonstration, Images]]


@dataclass(frozen=True)
class Trial:
    """One replay under a fault.

    Attributes:
        solved: The truth.
        pose: What the final pose says.
        image: What the goal image says.
        causes: The diagnosis, likeliest first; empty when the replay passed.
        evidence: The figures of the likeliest.
    """

    solved: bool
    pose: Judgement
    image: Judgement
    causes: tuple[str, ...]
    evidence: str

    @property
    def judged(self) -> bool:
        """Whether both pass it."""
        return self.pose.success and self.image.success


@dataclass(frozen=True)
class Row:
    """A fault and its trials."""

    fault: Fault
    trials: tuple[Trial, ...]

    @property
    def spoiled(self) -> int:
        """Trials in which it spoiled the task."""
        return sum(not each.solved for each in self.trials)

    @property
    def missed(self) -> int:
        """Spoiled trials that the judges passed."""
        return sum(each.judged and not each.solved for each in self.trials)

    @property
    def wronged(self) -> int:
        """Solved trials that the judges failed."""
        return sum(each.solved and not each.judged for each in self.trials)

    @property
    def named(self) -> int:
        """Spoiled trials whose likeliest cause is a right one."""
        right = {cause.value for cause in self.fault.causes}
        return sum(not each.solved and each.causes[:1] != () and each.causes[0] in right for each in self.trials)

    def line(self) -> str:
        """For the table."""
        said = Counter(each.causes[0] for each in self.trials if each.causes)
        words = ", ".join(f"{cause} {count}" for cause, count in said.most_common(3))
        return (
            f"{self.fault.name:<32} {len(self.trials):5d} {self.spoiled:7d} {self.missed:6d} {self.wronged:7d} "
            f"{self.named:5d}  {words}"
        )


HEAD = f"{'fault':<32} {'count':>5} {'spoiled':>7} {'missed':>6} {'wronged':>7} {'named':>5}  said first"


class Bench:
    """Demonstrations of a session, a camera rig, and a goal image calibrated on the session's own ends.

    Args:
        contract: Robot and task.
        seeds: Of the demonstrations; those that fail are left out.
        calibration_seeds: Of the session that the goal image is calibrated on.
    """

    def __init__(self, contract: Contract, seeds: Sequence[int], calibration_seeds: Sequence[int]) -> None:
        self.contract = contract
        self._rig = CameraRig(ArmSimulation(contract))
        self._shown: dict[tuple[tuple[str, float], ...], Session] = {}
        self._seeds = seeds
        solved = [pictures for _, pictures in self._demonstrations(calibration_seeds, ())]
        self._look = Look(solved, self._failures(calibration_seeds))

    def close(self) -> None:
        """Free the cameras."""
        self._rig.close()

    def row(self, fault: Fault) -> Row:
        """Every demonstration under a fault."""
        if fault.shown_with not in self._shown:
            self._shown[fault.shown_with] = self._demonstrations(self._seeds, fault.shown_with)
        return Row(fault, tuple(self._trial(fault, *each) for each in self._shown[fault.shown_with]))

    def _demonstrations(self, seeds: Sequence[int], limits: tuple[tuple[str, float], ...]) -> Session:
        found: Session = []
        for seed in seeds:
            arm = FaultyArm(self.contract)
            arm.limits = dict(limits)
            shown = demonstrate(arm, seed)
            if shown.episode.outcome == "success":
                found.append((shown, self._pictures(arm)))
        return found

    def _failures(self, seeds: Sequence[int]) -> list[Images]:
        """Last images of a person who misses: the hand goes where the cube is not."""
        found: list[Images] = []
        for seed in seeds:
            arm = FaultyArm(self.contract)
            rng = np.random.default_rng(seed)
            missed_by_m = _MISSED_BY_M.get(self.contract.task, _CUBE_MISSED_BY_M)
            angle_rad, by_m = rng.uniform(0, 2 * np.pi), rng.uniform(*missed_by_m)
            aside_m = by_m * np.array([np.cos(angle_rad), np.sin(angle_rad), 0.0])
            if demonstrate(arm, seed, aside_m=aside_m).episode.outcome == "failure":
                found.append(self._pictures(arm))
        return found

    def _trial(self, fault: Fault, shown: Demonstration, goal: Images) -> Trial:
        arm = FaultyArm(fault.contract(self.contract))
        if fault.arm is not None:
            fault.arm(arm)
        ticks = fault.labels(shown, self.contract) if fault.labels is not None else shown.ticks
        verdict = replay_direct(arm, shown.episode, ticks, fault.manner, recorded=shown.ticks)
        robot = self.contract.robot
        gripper = list(range(robot.dof))[robot.slices["gripper"]]
        end, within_m = FinalPose(shown.ticks.measured[-1], shown.ticks.targets[-1]), self.contract.success.final_tool_m
        pose = FinalPoseJudge(robot, gripper, end, within_m)
        # What was let go of falls, what was on its way arrives: the end is looked at when it is one.
        for _ in range(_SETTLE_TICKS):
            arm.advance()
        pose.observe(FinalPose(arm.position_rad, arm.told_rad))
        image = GoalImageJudge(self._look, goal)
        image.observe(self._pictures(arm))
        return Trial(
            solved=arm.simulation.judge.now,
            pose=pose.judge(),
            image=image.judge(),
            causes=tuple(each["cause"] for each in verdict.diagnosis),
            evidence=verdict.diagnosis[0]["evidence"] if verdict.diagnosis else "",
        )

    def _pictures(self, arm: FaultyArm) -> Images:
        sight = arm.simulation.sight()
        return {name: self._rig.draw(name, sight).copy() for name in self.contract.cameras}


def table(
    contract: Contract, seeds: Sequence[int], faults: Sequence[Fault] = FAULTS, calibrated_on: int = 40
) -> Iterator[Row]:
    """Every fault with every demonstration; gives each row as soon as it is there.

    Args:
        contract: Robot and task.
        seeds: Of the demonstrations.
        faults: What is tried.
        calibrated_on: Demonstrations of the session that the goal image is calibrated on, and as many failures.
    """
    bench = Bench(contract, seeds, range(1000, 1000 + calibrated_on))
    try:
        for fault in faults:
            yield bench.row(fault)
    finally:
        bench.close()

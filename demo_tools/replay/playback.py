"""One replay, tick by tick: the way to the initial state, the labels, the judge, the verdict. No ROS, no clock."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arm_control.mover import Mover, plan_move
from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.replay.diagnosis import diagnose
from demo_tools.replay.evidence import Evidence
from demo_tools.replay.judge import (
    FinalPose,
    FinalPoseJudge,
    GoalImageJudge,
    Images,
    Judgement,
    OperatorJudge,
    TopicJudge,
)
from demo_tools.replay.player import LabelPlayer, Manner, Player, SentPlayer
from demo_tools.replay.tracking import lateness_report, tracking_report
from demo_tools.replay.verdict import LABELS, SENT, STREAMS, Verdict
from learned_arm.action import Reference
from learned_arm.contract import Contract
from learned_arm.episode import Episode
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline, at_point

# More ticks than joint states can wait unread (`qos.newest`), so that what is checked and played is the present.
SETTLE_TICKS = 5


class Playback:
    """Plays one episode. Give it every tick through `step` until `outcome` is there.

    Args:
        episode: What was recorded.
        ticks: Its ticks, as the dataset builder reads them.
        tolerance_rad: Largest distance of a joint from the recorded initial position.
        speed_scale: Share of the robot's limits that the move to that position uses.
        move: Whether the arm must be brought to the initial position first; otherwise it is expected to be there.
        contract: What the labels are; by default the one that the episode was recorded under.
        manner: How they are played.
        recorded: The ticks as they were recorded, with what was sent; by default those that are played. Where the
            labels were made of something else, the diagnosis needs to know.
        stream: `labels`, or `sent`: what the door sent, at its own rate.
        goal: For the judge `goal_image`.
        confirm: Whether the arm holds at the initial position until `confirm` is called.
        mover: Plans the move to it.

    Raises:
        LearnedArmError: There is nothing to judge by, or no such stream.

    Attributes:
        outcome: Verdict and reason, None while playing.
    """

    def __init__(
        self,
        episode: Episode,
        ticks: EpisodeTicks,
        *,
        tolerance_rad: float,
        speed_scale: float,
        move: bool,
        contract: Contract | None = None,
        manner: Manner | None = None,
        recorded: EpisodeTicks | None = None,
        stream: str = LABELS,
        goal: GoalImageJudge | None = None,
        confirm: bool = False,
        mover: Mover = plan_move,
    ) -> None:
        self.outcome: tuple[str, str] | None = None
        self._episode, self._ticks, self._recorded = episode, ticks, recorded or ticks
        self._contract = contract or episode.loaded_contract
        judge = self._contract.success.judge
        if judge == "goal_image" and goal is None:
            raise LearnedArmError("nothing to compare with", where="goal_image", allowed="a calibrated goal image")
        self._goal, self._confirmed = goal, not confirm
        self._per_rad = self._contract.robot.per_rad
        self._holds_at: NDArray[np.float64] | None = None
        self._tolerance_rad, self._speed_scale = tolerance_rad, speed_scale
        if stream not in STREAMS:
            raise LearnedArmError("no such stream", where="replay", got=stream, allowed=list(STREAMS))
        self._stream = stream
        self._player: Player = (
            SentPlayer(self._contract, ticks)
            if stream == SENT
            else LabelPlayer(self._contract, ticks.targets, ticks.measured, ticks.commanded, manner)
        )
        self._manner = manner or Manner()
        self._shift_ticks = 0 if stream == SENT else self._manner.shift_ticks
        self._topic_judge = TopicJudge() if judge == "topic" else None
        self._operator = OperatorJudge() if judge == "operator" else None
        self._to_go, self._mover = move, mover
        self._move: Timeline | None = None
        self._waited = 0
        self._replayed: list[NDArray[np.float64]] = []
        self._told: list[NDArray[np.float64]] = []
        self._played: list[NDArray[np.float64]] = []
        self._due_ns: list[int] = []
        self._sent: dict[int, NDArray[np.float64]] = {}
        self._newest_sent: NDArray[np.float64] | None = None
        self._newest_measured: NDArray[np.float64] | None = None
        self._late_ns: list[int] = []
        self._initial_error_rad: dict[str, float] = {}
        self._last_target = ticks.targets[0]

    @property
    def playing(self) -> bool:
        """Whether the first label has been played and the judge watches."""
        return bool(self._replayed) and self.outcome is None

    @property
    def waits(self) -> bool:
        """Whether the arm is where the episode began, and a person has to say that everything else is."""
        return self._holds_at is not None and not self._confirmed and self.outcome is None

    def confirm(self) -> None:
        """Everything is where it was."""
        self._confirmed = True

    @property
    def asks(self) -> bool:
        """Whether everything was played, and a person has to say how it ended."""
        return self.ending and self._operator is not None and self._operator.waits

    def say(self, success: bool) -> None:
        """Take a person's word on how it ended."""
        if self._operator is not None:
            self._operator.observe(success)

    @property
    def played(self) -> bool:
        """Whether anything was played."""
        return bool(self._replayed)

    @property
    def ending(self) -> bool:
        """Whether the last label was played: what is seen now is the end."""
        return self.playing and len(self._replayed) == len(self._player)

    def look(self, images: Images) -> None:
        """Take images by camera; the last ones are judged."""
        if self._goal is not None:
            self._goal.observe(images)

    def observe(self, success: bool) -> None:
        """Take one message of the task's success topic."""
        if self.playing and self._topic_judge is not None:
            self._topic_judge.observe(success)

    def obeyed(self, stamp_ns: int, sent_rad: NDArray[np.float64]) -> None:
        """Take what the door sent at a control tick, rad, shape (dof,)."""
        if self.playing:
            self._sent[stamp_ns] = self._newest_sent = sent_rad

    def evidence(self) -> Evidence:
        """What the replay has left behind so far."""
        action, robot = self._contract.action, self._contract.robot
        unheard = np.full(robot.dof, np.nan)
        sent = [self._sent.get(due_ns, unheard) for due_ns in self._due_ns]
        told, played, measured, obeyed = (
            np.array(each).reshape(-1, robot.dof) for each in (self._told, self._played, self._replayed, sent)
        )
        return Evidence(
            joints=robot.joints,
            gripper=self._gripper(),
            period_s=self._contract.period_ns / 1e9,
            expected_ticks=len(self._recorded),
            initial_error_rad=np.array([self._initial_error_rad.get(joint, 0.0) for joint in robot.joints]),
            recorded_sent=self._recorded_sent() / self._per_rad,
            recorded_measured=self._recorded.measured / self._per_rad,
            told=self._word(told) / self._per_rad,
            played=played / self._per_rad,
            sent=obeyed / self._per_rad,
            measured=measured / self._per_rad,
            relative_to_command=action.representation in ("delta", "velocity"),
        )

    def _word(self, told: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the labels say, in the joints that were recorded where only the tools were told of."""
        labels = self._contract.tool_labels
        if labels is None or self._stream == SENT or not len(told):
            return told
        recorded = self._recorded_sent()[: len(told)]
        same = labels.alike(told[: len(recorded)], recorded)
        return np.concatenate([np.where(same[:, None], recorded, told[: len(recorded)]), told[len(recorded) :]])

    def arrived(self, measured_rad: NDArray[np.float64]) -> bool:
        """Whether the arm is where the episode began; refuses the replay when it is not."""
        # A joint that slides counts by the share of its stroke, see `Robot.per_rad`.
        error = np.abs(measured_rad - self._ticks.measured[0]) / self._per_rad
        self._initial_error_rad = dict(zip(self._contract.robot.joints, error.tolist(), strict=True))
        worst = max(self._initial_error_rad, key=lambda joint: self._initial_error_rad[joint])
        far = self._initial_error_rad[worst]
        if far > self._tolerance_rad:
            reason = f"initial state not reached: {worst} is {far:.4f} rad off, allowed {self._tolerance_rad} rad"
            self.outcome = ("refused", reason)
            return False
        return True

    def step(self, tick_ns: int, late_ns: int, measured_rad: NDArray[np.float64]) -> Timeline | None:
        """Targets to send at a tick; None holds.

        Args:
            tick_ns: Tick in ROS time.
            late_ns: How late it is played.
            measured_rad: Measured joints at the tick, shape (dof,).
        """
        if self.outcome is not None:
            return None
        if self._replayed:
            self._newest_measured = measured_rad
        if self._to_go:
            return self._approach(tick_ns, measured_rad)
        if not self._replayed and self._waited < SETTLE_TICKS:
            self._waited += 1
            return at_point(tick_ns + self._contract.period_ns, measured_rad)
        if not self._confirmed:
            # Kept from drifting: each tick holds where the first one found it.
            self._holds_at = measured_rad if self._holds_at is None else self._holds_at
            return at_point(tick_ns + self._contract.period_ns, self._holds_at)
        if not self._replayed and self._holds_at is not None and not self.arrived(measured_rad):
            # Who looked at the table may have pushed the arm.
            return None
        if len(self._replayed) < len(self._player):
            try:
                return self._play(tick_ns, late_ns, measured_rad)
            except LearnedArmError as error:
                # Where tools shall be may be out of this arm's reach.
                self.fail(f"label {len(self._replayed)} cannot be played: {error}")
                return None
        self._waited += 1
        if self._waited > 2 * SETTLE_TICKS and not self.asks:
            self._end()
            return None
        return at_point(tick_ns + self._contract.period_ns, self._last_target)

    def fail(self, reason: str) -> None:
        """End early: failed when labels were being played, refused before that."""
        if self.outcome is None:
            self.outcome = ("failed" if self._replayed else "refused", reason)

    def verdict(self, verdict: str, reason: str) -> Verdict:
        """The statement about this replay."""
        action, dof = self._contract.action, self._contract.robot.dof
        replayed = np.array(self._replayed).reshape(-1, dof)
        evidence = self.evidence()
        wrong = verdict == "failed" or (verdict == "refused" and self._initial_error_rad)
        return Verdict(
            verdict=verdict,
            reason=reason,
            contract_hash=self._contract.hash,
            messages_hash=self._episode.messages_hash,
            recorded_outcome=self._episode.outcome,
            initial_error_rad=self._initial_error_rad,
            tracking=tracking_report(
                self._contract.robot.joints, self._ticks.measured / self._per_rad, replayed / self._per_rad
            ),
            lateness=lateness_report(self._late_ns),
            judgement=self._judged().evidence,
            watch=evidence.statement() if len(replayed) else {},
            diagnosis=[each.statement() for each in diagnose(evidence)] if wrong else [],
            labels={
                "stream": self._stream,
                "source": action.source,
                "representation": action.representation,
                "dtype": self._manner.precision,
                "execute_ticks": self._player.execute_ticks,
                "hold": self._manner.hold,
                "shift_ticks": self._shift_ticks,
            },
        )

    def _approach(self, tick_ns: int, measured_rad: NDArray[np.float64]) -> Timeline | None:
        """The planned way to the recorded initial position."""
        period_ns, goal = self._contract.period_ns, self._ticks.measured[0]
        if self._move is None:
            try:
                robot, scale = self._contract.robot, self._speed_scale
                self._move = self._mover(robot, measured_rad, goal, tick_ns, speed_scale=scale)
            except LearnedArmError as error:
                self.fail(str(error))
                return None
        if tick_ns < self._move.end_ns:
            return self._move
        if tick_ns < self._move.end_ns + SETTLE_TICKS * period_ns:
            return at_point(tick_ns + period_ns, goal)
        if not self.arrived(measured_rad):
            return None
        self._to_go = False
        return at_point(tick_ns + period_ns, goal)

    def _play(self, tick_ns: int, late_ns: int, measured_rad: NDArray[np.float64]) -> Timeline:
        index = len(self._replayed)
        commanded = self._last_target if index else measured_rad
        timeline = self._player.step(index, tick_ns, Reference(measured_rad, commanded))
        self._replayed.append(measured_rad)
        self._told.append(self._player.told(index))
        due_ns = tick_ns + (self._contract.action.offset_ticks + self._shift_ticks) * self._contract.period_ns
        due = timeline.at(due_ns)
        self._last_target = timeline.positions_rad[-1] if due is None else due
        self._played.append(self._last_target)
        self._due_ns.append(due_ns)
        self._late_ns.append(late_ns)
        return timeline

    def _recorded_sent(self) -> NDArray[np.float64]:
        """What the arm was told when it was recorded, in force at each tick's label, shape (N, dof)."""
        ticks = self._recorded
        if ticks.sent is None:
            return ticks.targets
        offset_ns = self._contract.action.offset_ticks * self._contract.period_ns
        at_ns = np.minimum(ticks.ticks_ns + offset_ns, ticks.sent.end_ns)
        newest = np.searchsorted(ticks.sent.stamps_ns, at_ns, side="right") - 1
        return ticks.sent.positions_rad[np.maximum(newest, 0)]

    def _gripper(self) -> tuple[int, ...]:
        action, robot = self._contract.action, self._contract.robot
        every = np.arange(robot.dof)
        return tuple(int(each) for group in action.absolute_groups for each in every[robot.slices[group]])

    def _judged(self) -> Judgement:
        if self._topic_judge is not None:
            return self._topic_judge.judge()
        if self._operator is not None:
            return self._operator.judge()
        if self._goal is not None:
            return self._goal.judge()
        recorded = FinalPose(self._recorded.measured[-1], self._recorded_sent()[-1])
        judge = FinalPoseJudge(self._contract.robot, self._gripper(), recorded, self._contract.success.final_tool_m)
        if self._newest_measured is not None:
            sent = self._last_target if self._newest_sent is None else self._newest_sent
            judge.observe(FinalPose(self._newest_measured, sent))
        return judge.judge()

    def _end(self) -> None:
        said = "success" if self._judged().success else "failure"
        if said == self._episode.outcome:
            self.outcome = ("passed", "the recorded outcome was reproduced")
        else:
            self.outcome = ("failed", f"recorded {self._episode.outcome}, replayed {said}")

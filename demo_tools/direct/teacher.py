"""Teacher-forced replay: from every state of the recording one label is played, so that no error grows into the next.

A replay that fails says that errors add up; how large each of them is, this says. It needs a simulation, which can be
put back: from each tick one label is played, then what was sent is, and the arm goes on where the recording went.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.direct.arm import DirectArm
from demo_tools.replay.playback import SETTLE_TICKS
from demo_tools.replay.player import LabelPlayer, Manner, SentPlayer
from learned_arm.action import Reference
from learned_arm.episode import Episode
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import at_point

_SOURCE = "replay"


@dataclass(frozen=True)
class StepErrors:
    """How far one label leads from where the recording went, a tick later.

    Attributes:
        error_rad: Measured joints after the label, less those after what was sent, shape (N, dof).
    """

    error_rad: NDArray[np.float64]

    @property
    def rms_rad(self) -> float:
        """Root mean square of the worst joint."""
        return float(np.sqrt((self.error_rad**2).mean(axis=0)).max())

    @property
    def largest_rad(self) -> float:
        """The largest of any joint at any tick."""
        return float(np.abs(self.error_rad).max())


def teacher_forced(arm: DirectArm, episode: Episode, ticks: EpisodeTicks, manner: Manner | None = None) -> StepErrors:
    """Play every label of an episode from the state in which it was recorded.

    Args:
        arm: Simulated arm and door; its contract says what a label is.
        episode: What was recorded, with the simulator's state.
        ticks: Its ticks under the arm's contract, with what was sent.
        manner: How the labels are played; a chunk is decoded anew at every tick.

    Raises:
        LearnedArmError: No state of the simulation, or it is not known what was sent.
    """
    initial = episode.initial_state
    if initial is None or initial.sim_state is None:
        raise LearnedArmError("no state of the simulation", where=episode.name, allowed="a simulated episode")
    labels = LabelPlayer(arm.contract, ticks.targets, ticks.measured, ticks.commanded, manner)
    labels.execute_ticks = 1
    sent = SentPlayer(arm.contract, ticks)
    arm.restore(initial.sim_state)
    for _ in range(SETTLE_TICKS):
        arm.advance()
    arm.engage(_SOURCE)
    for _ in range(SETTLE_TICKS):
        arm.advance(_SOURCE, at_point(arm.now_ns + arm.contract.period_ns, arm.position_rad))
    errors = []
    for index in range(len(ticks)):
        live = Reference(arm.position_rad, ticks.commanded[index])
        # What is in force ends with the tick, or it would lead the arm up to where the label's first target is due.
        now = sent.step(index, arm.now_ns, live)
        until_ns = arm.now_ns + arm.contract.period_ns
        now = now.part(0, int(np.searchsorted(now.stamps_ns, until_ns, side="right")))
        here = arm.keep()
        arm.advance(_SOURCE, labels.step(index, arm.now_ns, live))
        led_to = arm.position_rad
        arm.go_back(here)
        arm.advance(_SOURCE, now)
        errors.append(led_to - arm.position_rad)
    return StepErrors(np.stack(errors))

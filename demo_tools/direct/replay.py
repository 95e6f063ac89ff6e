"""Replays of recorded episodes without ROS, for the thousands that a comparison of label designs takes."""

from __future__ import annotations

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.direct.arm import DirectArm
from demo_tools.replay.playback import SETTLE_TICKS, Playback
from demo_tools.replay.player import Manner
from demo_tools.replay.verdict import LABELS, Verdict
from learned_arm.episode import Episode
from learned_arm.errors import LearnedArmError

TOLERANCE_RAD = 0.05
_SOURCE = "replay"


def replay_direct(
    arm: DirectArm,
    episode: Episode,
    ticks: EpisodeTicks,
    manner: Manner | None = None,
    recorded: EpisodeTicks | None = None,
    stream: str = LABELS,
) -> Verdict:
    """Restore an episode's initial state, play its labels under the arm's contract, judge.

    Args:
        arm: Simulated arm and door; its contract says what a label is.
        episode: What was recorded, with the simulator's state.
        ticks: Its ticks under the arm's contract.
        manner: How the labels are played.
        recorded: See `Playback`.
        stream: See `Playback`.

    Raises:
        LearnedArmError: The episode has no state of the simulation, or a person is to judge.
    """
    initial = episode.initial_state
    if initial is None or initial.sim_state is None:
        raise LearnedArmError("no state of the simulation", where=episode.name, allowed="a simulated episode")
    if arm.contract.success.judge == "operator":
        raise LearnedArmError("nobody is there to say how it ended", where=episode.name, allowed="replay_node")
    arm.restore(initial.sim_state)
    playback = Playback(
        episode,
        ticks,
        tolerance_rad=TOLERANCE_RAD,
        speed_scale=1.0,
        move=False,
        contract=arm.contract,
        manner=manner,
        recorded=recorded,
        stream=stream,
    )
    # As over DDS, where the restored state is looked at for some ticks and the lease takes one.
    for _ in range(SETTLE_TICKS + 1):
        arm.advance()
    if playback.arrived(arm.position_rad):
        arm.engage(_SOURCE)
        while True:
            playback.observe(arm.simulation.judge.now)
            timeline = playback.step(arm.now_ns, 0, arm.position_rad)
            if playback.outcome is not None:
                break
            before = len(arm.commands)
            try:
                arm.advance(_SOURCE, timeline)
            except LearnedArmError as error:
                playback.fail(f"the door refused the targets: {error}")
                break
            for command in arm.commands[before:]:
                if command.sent_rad is not None:
                    playback.obeyed(command.stamp_ns, command.sent_rad)
    assert playback.outcome is not None
    return playback.verdict(*playback.outcome)

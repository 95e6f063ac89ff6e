"""One episode, one replay, one rollout: what the operator does at the desk, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from std_srvs.srv import SetBool, Trigger

from demo_tools.flow.operator import Operator
from demo_tools.replay.verdict import LABELS
from learned_arm.episode import load_episode

SIM, ARM, RECORDER, EXPERT, REPLAY, POLICY = (
    "/sim_arm_node",
    "/arm_node",
    "/recorder_node",
    "/scripted_expert_node",
    "/replay_node",
    "/policy_node",
)
_EPISODE_S = 120.0
_DISCOVERY_S = 10.0
_MUTUAL_DISCOVERY_S = 0.5
# After a reset, and before an episode is closed, the simulation runs on until every stream shows how things stand.
_SETTLE_MESSAGES = 4


@dataclass(frozen=True)
class Recorded:
    """An episode as the recorder left it."""

    seed: int
    outcome: str
    folder: Path
    lost: int
    sim_seconds: float


def meet(operator: Operator, *nodes: str) -> None:
    """Wait until these nodes answer."""
    services: dict[str, dict[str, type]] = {
        SIM: {"reset": Trigger},
        ARM: {"engage": SetBool, "stop": Trigger, "clear_fault": Trigger},
        RECORDER: {"start": Trigger, "success": Trigger, "failure": Trigger, "discard": Trigger},
        EXPERT: {"start": Trigger},
        REPLAY: dict.fromkeys(("start", "abort", "confirm", "success", "failure"), Trigger),
        POLICY: {"engage": SetBool, "reset": Trigger},
    }
    for node in nodes:
        operator.expect(node, **services[node])
    # A server answers only clients that it has discovered in turn.
    operator.spin_for(_MUTUAL_DISCOVERY_S)


def reset_simulation(operator: Operator, seed: int, decoy_seed: int = -1) -> None:
    """Put the simulation into the initial state of a seed and let every stream show it."""
    state: dict[str, Any] = {"reset_seed": seed, "reset_state": [], "decoy_seed": decoy_seed}
    operator.trigger(SIM, "reset", state)
    operator.forget_success()
    _let_pass(operator, _SETTLE_MESSAGES)
    operator.forget_success()


def record_demonstration(operator: Operator, seed: int, rate_hz: int) -> Recorded:
    """The scripted expert shows the task once, from the initial state of a seed."""
    reset_simulation(operator, seed)
    _start_recording(operator, "scripted_expert", "", f"seed {seed}")
    number = operator.trigger(EXPERT, "start", patience_s=_DISCOVERY_S).split()[-1]
    _wait_for(operator, EXPERT, ("done", "failed"), episode=number)
    return close_episode(operator, seed, rate_hz)


def roll_out(
    operator: Operator, seed: int, policy_hash: str, rate_hz: int, limit_s: float, decoy_seed: int = -1
) -> Recorded:
    """The policy tries the task once; until success or the limit of simulated time, counted from the lease."""
    reset_simulation(operator, seed, decoy_seed)
    operator.trigger(POLICY, "reset")
    notes = f"seed {seed}" + (f", images of seed {decoy_seed}" if decoy_seed >= 0 else "")
    _start_recording(operator, "policy_node", policy_hash, notes)
    operator.forget_success()
    operator.switch(POLICY, "engage", True)
    # The simulation does not wait for the lease: on a busy machine seconds may have passed in which nobody commanded.
    operator.begin_time()
    limit = round(limit_s * rate_hz)
    operator.wait(lambda: operator.succeeded or operator.success_count >= limit, _EPISODE_S, "the rollout to end")
    operator.switch(POLICY, "engage", False)
    return close_episode(operator, seed, rate_hz)


def _start_recording(operator: Operator, who: str, policy_hash: str, notes: str) -> None:
    """Nodes that have just started may not have found each other: then the recorder misses streams for a moment."""
    said = {"operator": who, "policy": policy_hash, "notes": notes}
    operator.trigger(RECORDER, "start", said, patience_s=_DISCOVERY_S)


def replay(operator: Operator, folder: Path, stream: str = LABELS, into: Path | None = None) -> dict[str, str]:
    """Replay one episode; returns the replay node's last status: verdict and reason.

    Args:
        operator: In front of a stack with a replay node.
        folder: The episode's.
        stream: What is played.
        into: Folder of the verdict; None: the episode's.
    """
    operator.statuses[REPLAY] = {}
    where = {"episode": str(folder), "stream": stream, "verdict_folder": str(into or "")}
    operator.trigger(REPLAY, "start", where)
    return _wait_for(operator, REPLAY, ("done",), episode=str(folder))


def close_episode(operator: Operator, seed: int, rate_hz: int) -> Recorded:
    """End the episode that is being recorded, with the outcome that the task's topic says."""
    operator.catch_up()
    sim_seconds = operator.success_count / rate_hz
    # The end of the task is in the bag too, also where the recorder hears of it later than this process.
    _let_pass(operator, _SETTLE_MESSAGES)
    outcome = "success" if operator.succeeded and operator.succeeds_now else "failure"
    name = operator.trigger(RECORDER, outcome, {"reason": f"{outcome} on the task's topic"})
    folder = Path(_wait_for(operator, RECORDER, ("idle",), episode_name=name)["episode"])
    episode = load_episode(folder)
    return Recorded(seed, outcome, folder, episode.lost_messages, sim_seconds)


def _wait_for(operator: Operator, node: str, states: tuple[str, ...], **named: str) -> dict[str, str]:
    """Wait for a state in the status of this very episode: statuses of the one before may still be on their way."""

    def told() -> bool:
        status = operator.statuses[node]
        return status.get("state") in states and all(status.get(key) == value for key, value in named.items())

    operator.wait(told, _EPISODE_S, f"{node} to be {' or '.join(states)}")
    return operator.statuses[node]


def _let_pass(operator: Operator, count: int) -> None:
    before = operator.success_count
    operator.wait(lambda: operator.success_count >= before + count, 20.0, "the simulation to run")

"""The policy node's status: what a person sees, and what other nodes read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learned_policy_node.exchange import IDLE
from learned_policy_node.loading import AnyPolicy
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.tally import Tally


@dataclass
class Standing:
    """Where the node stands.

    Attributes:
        state: Of its lifecycle.
        problem: Why the last transition failed.
        fault: Why it holds.
        engaged: Whether it has the lease.
        lost: How it lost the lease, see `Door`.
        missed: Ticks that were left out because the schedule came late.
        lost_messages, time_faults: See `Intake`.
        swap: See `Exchange`.
        unapplied: Parameters that wait for the next configure.
        policy: What answers the next step, where one is loaded.
        loop: That steps it.
    """

    state: str
    problem: str = ""
    fault: str = ""
    engaged: bool = False
    lost: str = ""
    missed: int = 0
    lost_messages: int = 0
    time_faults: int = 0
    swap: str = IDLE
    unapplied: Sequence[str] = ()
    policy: AnyPolicy | None = None
    loop: PolicyLoop | None = None


def report(standing: Standing, tally: Tally) -> tuple[str, str, dict[str, object]]:
    """Level, words and values of the status.

    Args:
        standing: Where the node stands.
        tally: What its ticks gave.
    """
    values: dict[str, object] = {
        "state": standing.state,
        "engaged": standing.engaged,
        "fault": standing.fault,
        "ticks": tally.ticks,
        "inferences": tally.inferences,
        "refused": tally.refused,
        "lost": standing.lost_messages,
        "time_faults": standing.time_faults,
        "missed": standing.missed,
        "last_refusal": tally.last_refusal,
        "step_ms": round(tally.step_ms, 3),
        "swap": standing.swap,
        "unapplied": " ".join(standing.unapplied),
    }
    policy, loop = standing.policy, standing.loop
    if policy is not None:
        values |= {"model": policy.hash, "path": policy.path, "contract": policy.contract.hash}
        values |= {"kind": policy.kind, "provider": policy.runtime.provider, "tested": policy.tested}
    lease = f"lease {standing.lost}" if standing.lost else ""
    if loop is not None:
        values["out_of_order"] = sum(loop.out_of_order.values())
        values["schedule"] = lease or tally.phase.value
        values["latency_ms"] = round(loop.latency_ns / 1e6, 3)
        values["late_steps"] = loop.late_steps
    problem = standing.problem or standing.fault
    if problem:
        return "error", problem, values
    remarks = [lease] if lease else []
    if policy is not None and not policy.tested:
        remarks.append("a foreign policy without a self-test")
    return "warn" if remarks else "ok", ", ".join([standing.state, *remarks]), values

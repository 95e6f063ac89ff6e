"""Opens a policy file of any kind and proves it before it may move anything."""

from __future__ import annotations

from pathlib import Path

from learned_arm.errors import LearnedArmError
from learned_policy_node.critic_policy import CriticPolicy
from learned_policy_node.onnx_policy import OnnxPolicy
from learned_policy_node.policy_file import PolicyFile, read_policy_file

AnyPolicy = OnnxPolicy | CriticPolicy


def open_policy(path: str | Path, threads: int = 1, provider: str = "cpu", file: PolicyFile | None = None) -> AnyPolicy:
    """Load a policy file of whatever kind it says to be, without its self-test; see `PolicyModel`."""
    file = file if file is not None else read_policy_file(Path(path))
    return (CriticPolicy if file.critic else OnnxPolicy)(path, threads, provider, file)


def prove(policy: AnyPolicy, allow_untested: bool = False, limit_s: float | None = None) -> float | None:
    """Run the self-test of a policy.

    Args:
        policy: As loaded.
        allow_untested: Let a foreign file pass that has none.
        limit_s: Longest time of a step, see `PolicyModel.self_test`.

    Returns:
        The largest difference; None where there was nothing to test.

    Raises:
        LearnedArmError: It failed, or there is none and that is not allowed.
    """
    if policy.has_selftest:
        return policy.self_test(limit_s)
    if not allow_untested:
        allowed = "a key 'selftest' in its sidecar, or allow_untested"
        raise LearnedArmError("foreign policy without a self-test", where=policy.path, allowed=allowed)
    return None


def load_policy(path: str | Path, threads: int = 1, provider: str = "cpu", allow_untested: bool = False) -> AnyPolicy:
    """Load a policy file of any kind and run its self-test; see `open_policy` and `prove`."""
    policy = open_policy(path, threads, provider)
    prove(policy, allow_untested)
    return policy

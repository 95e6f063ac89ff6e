"""Where the policy runs: at once in the caller's thread (lock-step), or in a thread of its own (real time)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learned_arm.action import Reference
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.policy import Policy

_JOIN_S = 1.0


@dataclass(frozen=True)
class Request:
    """What the policy is asked.

    Attributes:
        resets: By occasion, how often a reset has come, see `Policy.reset`. Of those that came since the request
            before, the policy is told first; counts outlive a request that is replaced before it is asked.
        epoch: The schedule's, see `Scheduler.asked`.
        observation: What it sees.
        reference: What its labels are relative to.
    """

    resets: Mapping[str | None, int]
    epoch: int
    observation: Observation
    reference: Reference


@dataclass(frozen=True)
class Answer:
    """What came of a request.

    Attributes:
        request: The request.
        ready_ns: ROS time from which the labels may be used.
        latency_ns: How long it took.
        labels: float32, shape (horizon, width); None when the policy failed.
        failure: Why it failed, in words: an exception would keep alive, by its traceback, whatever it passed through.
        generation: Of the policy that answered, see `SwappablePolicy`.
    """

    request: Request
    ready_ns: int
    latency_ns: int
    labels: NDArray[np.float32] | None = None
    failure: str = ""
    generation: int = 0


class Inference(Protocol):
    """Runs the policy. All but `close` is called by the schedule's thread."""

    def submit(self, request: Request) -> None:
        """Ask. A request that waits for an earlier one to end is replaced: the newest observation counts."""
        ...

    def take(self, patience_s: float = 0.0) -> Answer | None:
        """An answer that was not taken yet, waiting for it at most so long."""
        ...

    def close(self) -> None:
        """End what was started."""
        ...


class _Asked:
    """Resets and asks a policy; belongs to one thread."""

    def __init__(self, policy: Policy, generation: Callable[[], int]) -> None:
        self._policy, self._generation = policy, generation
        self._told: Mapping[str | None, int] = {}

    def ask(self, request: Request, ready_ns: int, latency_ns: Callable[[], int]) -> Answer:
        """What the policy answers; it never raises."""
        labels, failure = None, ""
        try:
            told, self._told = self._told, request.resets
            for occasion, count in request.resets.items():
                if count != told.get(occasion, 0):
                    self._policy.reset(occasion)
            labels = self._policy.act(request.observation)
        except LearnedArmError as error:
            failure = str(error)
        except Exception as error:  # whatever went wrong, the schedule decides what follows from it
            failure = f"{type(error).__name__}: {error}"
        return Answer(request, ready_ns, latency_ns(), labels, failure, self._generation())


class Inline:
    """Runs the policy when it is asked, with an added latency in ROS time: the same on any machine.

    Args:
        policy: Who is asked.
        added_latency_ns: From the tick of an observation until its chunk may be used.
        generation: Of the policy that gave the last answer.
    """

    def __init__(self, policy: Policy, added_latency_ns: int = 0, generation: Callable[[], int] = lambda: 0) -> None:
        self._asked, self._added_ns = _Asked(policy, generation), added_latency_ns
        self._answer: Answer | None = None

    def submit(self, request: Request) -> None:
        """Ask and keep the answer."""
        ready_ns = request.observation.tick_ns + self._added_ns
        self._answer = self._asked.ask(request, ready_ns, lambda: self._added_ns)

    def take(self, patience_s: float = 0.0) -> Answer | None:
        """The answer, once."""
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        """Nothing was started."""


class Worker:
    """Runs the policy in a thread of its own, started with the first request.

    Args:
        policy: Who is asked; only the thread touches it.
        added_latency_ns: Slept after every inference.
        generation: Of the policy that gave the last answer.
    """

    def __init__(self, policy: Policy, added_latency_ns: int = 0, generation: Callable[[], int] = lambda: 0) -> None:
        self._asked, self._added_s = _Asked(policy, generation), added_latency_ns / 1e9
        self._request: Request | None = None
        self._answer: Answer | None = None
        self._condition = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, request: Request) -> None:
        """Leave the request for the thread."""
        with self._condition:
            self._request = request
            if self._thread is None:
                self._closed = threading.Event()
                self._thread = threading.Thread(target=self._work, args=(self._closed,), name="inference", daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def take(self, patience_s: float = 0.0) -> Answer | None:
        """The newest answer, once."""
        with self._condition:
            if patience_s > 0:
                self._condition.wait_for(lambda: self._answer is not None, patience_s)
            answer, self._answer = self._answer, None
            return answer

    def close(self) -> None:
        """End the thread; one that hangs in the model is left behind and its answer thrown away."""
        with self._condition:
            thread, self._thread = self._thread, None
            self._closed.set()
            self._request = self._answer = None
            self._condition.notify_all()
        if thread is not None:
            thread.join(_JOIN_S)

    def _work(self, closed: threading.Event) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._request is not None or closed.is_set())
                request, self._request = self._request, None
                if closed.is_set() or request is None:
                    return
            answer = self._ask(request, closed)
            with self._condition:
                if closed.is_set():
                    return
                self._answer = answer
                self._condition.notify_all()

    def _ask(self, request: Request, closed: threading.Event) -> Answer:
        started_ns = time.monotonic_ns()

        def latency_ns() -> int:
            closed.wait(self._added_s)
            return time.monotonic_ns() - started_ns

        return self._asked.ask(request, request.observation.tick_ns, latency_ns)

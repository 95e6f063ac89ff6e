"""Where the policy runs: what is asked, what comes back, and what is thrown away."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from learned_arm.action import Reference
from learned_arm.contract import Contract
from learned_arm.observation import Observation
from learned_policy_node.inference import Answer, Inference, Inline, Request, Worker

PATIENCE_S = 10.0


class Echo:
    """Answers with the tick it saw; notes in which thread, and may be made to wait."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.resets: list[str | None] = []
        self.threads: set[int] = set()
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()

    def reset(self, occasion: str | None = None) -> None:
        self.resets.append(occasion)

    def act(self, observation: Observation) -> np.ndarray:
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.goes_on.wait(PATIENCE_S)
        if observation.tick_ns < 0:
            raise ValueError("negative tick")
        return np.full((2, 1), observation.tick_ns, np.float32)


def request(tick_ns: int, **resets: int) -> Request:
    observation = Observation(tick_ns, {}, np.zeros((1, 1), np.float32))
    return Request({**resets}, 0, observation, Reference(np.zeros(1), np.zeros(1)))


def taken(inference: Inference) -> Answer:
    answer = inference.take(PATIENCE_S)
    assert answer is not None
    assert inference.take() is None, "an answer is taken once"
    return answer


@pytest.mark.parametrize("kind", [Inline, Worker])
def test_an_answer_belongs_to_its_request_and_a_failure_comes_as_one(contract: Contract, kind: type) -> None:
    policy = Echo(contract)
    inference = kind(policy)
    try:
        assert inference.take() is None
        for tick_ns in (3, 4, 5):
            inference.submit(request(tick_ns))
            answer = taken(inference)
            assert answer.labels is not None
            assert answer.labels[0, 0] == answer.request.observation.tick_ns == tick_ns
        inference.submit(request(-1))
        failed = taken(inference)
        assert failed.labels is None
        assert failed.failure == "ValueError: negative tick"
        assert (policy.threads == {threading.get_ident()}) == (kind is Inline)
        assert len(policy.threads) == 1
    finally:
        inference.close()


@pytest.mark.parametrize("kind", [Inline, Worker])
def test_a_policy_is_told_of_each_occasion_that_came_since_it_was_asked_last(contract: Contract, kind: type) -> None:
    policy = Echo(contract)
    inference = kind(policy)
    told: list[list[str | None]] = []
    try:
        for resets in ({}, {"engage": 1}, {"engage": 1}, {"engage": 1, "request": 2}, {"engage": 3, "request": 3}):
            policy.resets.clear()
            inference.submit(request(1, **resets))
            taken(inference)
            told.append(list(policy.resets))
    finally:
        inference.close()
    assert told == [[], ["engage"], [], ["request"], ["engage", "request"]]


def test_an_occasion_outlives_a_request_that_was_replaced(contract: Contract) -> None:
    policy = Echo(contract)
    policy.goes_on.clear()
    worker = Worker(policy)
    try:
        worker.submit(request(1))
        assert policy.begun.wait(PATIENCE_S)
        worker.submit(request(2, engage=1))
        worker.submit(request(3, engage=1))
        policy.goes_on.set()
        while taken(worker).request.observation.tick_ns != 3:
            pass
        assert policy.resets == ["engage"]
    finally:
        policy.goes_on.set()
        worker.close()


@pytest.mark.parametrize("kind", [Inline, Worker])
def test_an_answer_says_which_generation_gave_it(contract: Contract, kind: type) -> None:
    generations = iter((0, 0, 1))
    inference = kind(Echo(contract), 0, lambda: next(generations))
    try:
        found = []
        for tick_ns in (1, -1, 3):
            inference.submit(request(tick_ns))
            found.append(taken(inference).generation)
        assert found == [0, 0, 1]
    finally:
        inference.close()


def test_inline_the_added_latency_is_counted_from_the_tick_and_not_waited_for(contract: Contract) -> None:
    inline = Inline(Echo(contract), 10**12)
    inline.submit(request(5))
    answer = taken(inline)
    assert (answer.ready_ns, answer.latency_ns) == (5 + 10**12, 10**12)


def test_the_newest_request_replaces_the_one_that_waits(contract: Contract) -> None:
    policy = Echo(contract)
    policy.goes_on.clear()
    worker = Worker(policy)
    try:
        worker.submit(request(1))
        assert policy.begun.wait(PATIENCE_S)
        for tick_ns in (2, 3, 4):
            worker.submit(request(tick_ns))
        assert worker.take() is None
        policy.goes_on.set()
        seen = [taken(worker).request.observation.tick_ns]
        if seen == [1]:
            seen.append(taken(worker).request.observation.tick_ns)
        assert seen in ([1, 4], [4])
    finally:
        policy.goes_on.set()
        worker.close()


def test_the_added_latency_is_part_of_what_was_measured(contract: Contract) -> None:
    worker = Worker(Echo(contract), 20_000_000)
    worker.submit(request(1))
    assert taken(worker).latency_ns >= 20_000_000
    worker.close()


def test_what_was_asked_before_the_end_never_comes_and_a_new_request_starts_it_again(contract: Contract) -> None:
    policy = Echo(contract)
    policy.goes_on.clear()
    worker = Worker(policy)
    worker.submit(request(1))
    assert policy.begun.wait(PATIENCE_S)
    ender = threading.Timer(0.05, policy.goes_on.set)
    ender.start()
    worker.close()
    ender.join()
    assert worker.take(0.05) is None
    worker.submit(request(2))
    assert taken(worker).request.observation.tick_ns == 2
    worker.close()
    worker.close()

"""Runs many short jobs on a few stacks of nodes side by side, each on a DDS domain of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from demo_tools.flow import lead
from demo_tools.flow.domains import held_domain
from demo_tools.flow.operator import Operator
from demo_tools.flow.stack import Stack
from learned_arm.ros import transport

Job = TypeVar("Job")
Result = TypeVar("Result")


class InterruptedWorkError(Exception):
    """Another worker failed, or nobody waits any more: end without a result."""


def run_jobs(
    jobs: Sequence[Job],
    act: Callable[[Operator, Job], Result],
    nodes: Mapping[str, Mapping[str, Any]],
    logs: Path,
    *,
    workers: int = 1,
    each: Callable[[Result], bool] | None = None,
) -> list[Result]:
    """Run every job with an operator in front of freshly started nodes.

    Args:
        jobs: What to do, one entry a call of `act`.
        act: Does one job through the operator.
        nodes: Nodes of each stack with their parameters, started in this order.
        logs: Folder for the nodes' logs, one folder a worker.
        workers: Stacks side by side.
        each: Called with every result in the order of completion, one at a time; False ends the work early.

    Returns:
        Results in the order of the jobs; those left out by an early end are missing.

    Raises:
        LearnedArmError: A node died or did not answer; the other workers are stopped first.
        KeyboardInterrupt, SystemExit: The process was asked to end; the nodes are stopped first.
    """
    transport.require_room(workers * (len(nodes) + 1))
    waiting: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
    for entry in enumerate(jobs):
        waiting.put(entry)
    results: dict[int, Result] = {}
    failures: list[BaseException] = []
    ending = threading.Event()
    # Not by joining: to Python 3.11 a thread whose join was interrupted has stopped, and nobody waits for it any more.
    done = [threading.Event() for _ in range(workers)]
    lock = threading.Lock()

    def work(index: int) -> None:
        try:
            with held_domain() as domain, Stack(domain, logs / f"worker_{index}") as stack:
                for node, parameters in nodes.items():
                    stack.start(node, parameters)

                def check() -> None:
                    stack.check()
                    if failures:
                        raise InterruptedWorkError

                with Operator(domain, check) as operator:
                    lead.meet(operator, *(f"/{node}" for node in nodes))
                    while not ending.is_set():
                        try:
                            number, job = waiting.get_nowait()
                        except queue.Empty:
                            return
                        result = act(operator, job)
                        with lock:
                            results[number] = result
                            if each is not None and not ending.is_set() and not each(result):
                                ending.set()
        except InterruptedWorkError:
            return
        except BaseException as error:
            failures.append(error)
            ending.set()
        finally:
            done[index].set()

    threads = [threading.Thread(target=work, args=(index,), name=f"worker {index}") for index in range(workers)]
    for thread in threads:
        thread.start()
    try:
        _wait(done)
    except BaseException:
        # Whoever asks this process to end asks it of the nodes too.
        failures.append(InterruptedWorkError())
        ending.set()
        _wait(done)
        raise
    if failures:
        raise failures[0]
    return [results[number] for number in sorted(results)]


def _wait(done: Sequence[threading.Event]) -> None:
    for each in done:
        each.wait()

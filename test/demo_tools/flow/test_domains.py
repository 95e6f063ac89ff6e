"""Stacks that run at once never share a domain, and a domain is free again once its holder has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from demo_tools.flow.domains import DOMAINS, held_domain, lock_of
from learned_arm.errors import LearnedArmError

_HOLD = """
from demo_tools.flow.domains import held_domain
with held_domain() as domain:
    print(domain, flush=True)
    input()
"""
_HOLD_WITH_NODE = """
import subprocess, sys
from demo_tools.flow.domains import held_domain, lock_of
with held_domain() as domain:
    node = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=lock_of(domain))
    print(domain, node.pid, flush=True)
    input()
"""
_PATIENCE_S = 10.0


def test_whoever_asks_while_another_holds_one_gets_another() -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(held_domain()) for _ in range(4)]
        assert len(set(held)) == 4 and set(held) <= set(DOMAINS)
        with pytest.raises(LearnedArmError, match="every DDS domain is taken"), held_domain(held):
            pass
    with held_domain(held[2:3]) as again:
        assert again == held[2]


def test_another_process_holds_its_own_and_gives_it_back_even_when_it_is_killed() -> None:
    other = subprocess.Popen([sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    theirs = int(other.stdout.readline())
    with pytest.raises(LearnedArmError, match="every DDS domain is taken"), held_domain([theirs]):
        pass
    other.kill()
    other.communicate()
    with held_domain([theirs]) as again:
        assert again == theirs


def test_a_domain_whose_holder_was_killed_is_free_once_the_nodes_in_it_have_ended() -> None:
    command = [sys.executable, "-c", _HOLD_WITH_NODE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs, node = map(int, other.stdout.readline().split())
        other.kill()
        other.wait()
        with pytest.raises(LearnedArmError, match="every DDS domain is taken"), held_domain([theirs]):
            pass
        os.kill(node, signal.SIGKILL)
    limit_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            with held_domain([theirs]) as again:
                assert again == theirs
            break
        except LearnedArmError:
            # Nobody waits for a process of a parent that is gone, so that it ends when it does.
            assert time.monotonic() < limit_s
            time.sleep(0.05)


def test_who_holds_no_domain_hands_none_on() -> None:
    assert lock_of(DOMAINS[0]) == ()
    with held_domain() as domain:
        assert len(lock_of(domain)) == 1
    assert lock_of(domain) == ()

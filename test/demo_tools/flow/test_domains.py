"""Stacks that run at once never share a domain, and a domain is free again once its holder has ended."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import pytest

from demo_tools.flow.domains import DOMAINS, held_domain
from learned_arm.errors import LearnedArmError

_HOLD = """
from demo_tools.flow.domains import held_domain
with held_domain() as domain:
    print(domain, flush=True)
    input()
"""


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
